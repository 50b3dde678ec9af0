from .digit_bags import bags as bags
from .cifar import cifar10 as cifar10
from .class_folders import image_folder as image_folder
from .masked import masked_photos as masked_photos
from .medical import medmnist as medmnist
from .photographs import photos as photos
from .robot_pictures import robots as robots
from .shape_pictures import shapes as shapes
from .split import Part as Part, Split as Split
from .streamed import Streamed as Streamed
from .tables import digits as digits, patients as patients
from .tetromino_pictures import tetrominoes as tetrominoes
from .textures import objects_on_textures as objects_on_textures
from .watermarks import watermark as watermark
