"""The smallest recipe that goes the whole way, and tables of the smallest of other systems."""

RECIPE = """
system = "shared_trunk"
seed = 1
[bundle]
name = "Tiny"
version = "0.0.1"
license = "Apache-2.0"
[data]
pitch_mm = 0.8
training = { first_seed = 4, studies = 3 }
validation = { first_seed = 8, studies = 3 }
[preparation]
height_px = 160
width_px = 80
pitch_mm = 1.6
channels = ["mean", "max"]
[network]
trunk = "resnet18"
in_channels = 2
width = 8
output_stride = 16
norm = "group"
[decision]
extent = 0.5
least_px = 2
[changes]
turn_deg = 5.0
zoom = 0.1
contrast = 0.1
flip = true
[optimizer]
weight_decay = 0.01
clip_norm = 5.0
amp = false
validate_every = 2
[[stages]]
name = "windows"
steps = 2
learning_rate = 1e-3
classification_share = 0.0
batch = 4
height_px = 48
width_px = 48
centered = true
cancers = 0.5
benign = 0.3
[[stages]]
name = "joint"
steps = 3
learning_rate = 1e-3
classification_share = 0.5
batch = 2
height_px = 160
width_px = 80
centered = false
cancers = 0.5
benign = 0.3
"""
ALL_CONV_CHANGES = """
[changes]
turn_deg = 5.0
zoom = 0.1
contrast = 0.1
flip = true
mirror = true
shear_rad = 0.1
shift = 0.05
"""
RETINA_NETWORK = """
[network]
trunk = "resnet18"
in_channels = 2
width = 8
channels = 16
norm = "group"
attach = "c5"
smallest_anchor_px = 8.0
"""
