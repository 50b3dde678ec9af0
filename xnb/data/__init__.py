"""Data sets as one frozen type: `split.train` and `split.test`, each with `x`, `y` and, where known, the truth."""

from xnb.data.digit_bags import bags as bags
from xnb.data.cifar import cifar10 as cifar10
from xnb.data.class_folders import image_folder as image_folder
from xnb.data.masked import masked_photos as masked_photos
from xnb.data.medical import medmnist as medmnist
from xnb.data.photographs import photos as photos
from xnb.data.robot_pictures import robots as robots
from xnb.data.shape_pictures import shapes as shapes
from xnb.data.split import Part as Part, Split as Split
from xnb.data.tables import digits as digits, patients as patients
from xnb.data.tetromino_pictures import tetrominoes as tetrominoes
from xnb.data.textures import objects_on_textures as objects_on_textures
from xnb.data.watermarks import watermark as watermark
