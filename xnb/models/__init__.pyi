from . import (
    attention_pooling as attention_pooling,
    cifar_joining as cifar_joining,
    cifar_lenet as cifar_lenet,
    cifar_residual as cifar_residual,
    cnn as cnn,
    ensemble as ensemble,
    fastnet as fastnet,
    imagenet as imagenet,
    interpretable as interpretable,
    known as known,
    layers as layers,
    mlp as mlp,
    preprocess as preprocess,
    published as published,
    published_files as published_files,
    residual as residual,
    tabular as tabular,
    vit as vit,
)
from .attention_pooling import (
    AttentionClassifier as AttentionClassifier,
    AttentionPool as AttentionPool,
    MeanPool as MeanPool,
    SelfAttentionClassifier as SelfAttentionClassifier,
    bag_classifier as bag_classifier,
    picture_classifier as picture_classifier,
)
from .cnn import SmallCNN as SmallCNN
from .ensemble import Ensemble as Ensemble
from .fastnet import FastNet as FastNet, IMAGENET_CLASSES as IMAGENET_CLASSES
from .imagenet import Pretrained as Pretrained, load_imagenet as load_imagenet
from .interpretable import BagNet as BagNet, BcosNet as BcosNet, plain_cnn as plain_cnn
from .mlp import Net as Net
from .preprocess import FASTNET as FASTNET, IMAGENET as IMAGENET, Preprocess as Preprocess
from .published import PUBLISHED as PUBLISHED, load_published as load_published
from .residual import ResNet as ResNet
from .tabular import FeatureAttention as FeatureAttention, FeatureTransformer as FeatureTransformer
from .tabular import Logistic as Logistic
from .vit import Block as Block, ViT as ViT, from_torchvision as from_torchvision
