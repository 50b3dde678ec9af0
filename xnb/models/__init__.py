"""Networks whose every operation is a named module, so that an explanation can reach it."""

from xnb.models.attention_pooling import (
    AttentionClassifier as AttentionClassifier,
    AttentionPool as AttentionPool,
    MeanPool as MeanPool,
    SelfAttentionClassifier as SelfAttentionClassifier,
    bag_classifier as bag_classifier,
    picture_classifier as picture_classifier,
)
from xnb.models.cnn import SmallCNN as SmallCNN
from xnb.models.ensemble import Ensemble as Ensemble
from xnb.models.fastnet import FastNet as FastNet, IMAGENET_CLASSES as IMAGENET_CLASSES
from xnb.models.interpretable import BagNet as BagNet, BcosNet as BcosNet, plain as plain
from xnb.models.mlp import Net as Net
from xnb.models.preprocess import FASTNET as FASTNET, IMAGENET as IMAGENET, Preprocess as Preprocess
from xnb.models.tabular import FeatureAttention as FeatureAttention, FeatureTransformer as FeatureTransformer
from xnb.models.tabular import Logistic as Logistic
from xnb.models.vit import Block as Block, ViT as ViT, from_torchvision as from_torchvision
