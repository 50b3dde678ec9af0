"""Networks whose every operation is a named module, so that an explanation can reach it."""

from xnb.models.cnn import SmallCNN as SmallCNN
from xnb.models.fastnet import FastNet as FastNet, IMAGENET_CLASSES as IMAGENET_CLASSES
from xnb.models.mlp import Net as Net
from xnb.models.preprocess import FASTNET as FASTNET, IMAGENET as IMAGENET, Preprocess as Preprocess
