"""The verbs. Here the two rivers meet: what thinks (cost, search) and what does (run); every room is imported inside.

Names and records are taken alike: `plan("gpt3-175b", "512xa100-sxm-80gb")` and `plan(model, cluster)` say the same.
"""

from rigwise.api.machines import check_rig as check_rig
from rigwise.api.machines import rig as rig
from rigwise.api.names import HERE as HERE
from rigwise.api.names import device as device
from rigwise.api.names import device_names as device_names
from rigwise.api.names import devices as devices
from rigwise.api.names import load_cluster as load_cluster
from rigwise.api.names import load_model as load_model
from rigwise.api.names import machine as machine
from rigwise.api.names import model_names as model_names
from rigwise.api.question import Asked as Asked
from rigwise.api.question import Settings as Settings
from rigwise.api.question import ask as ask
from rigwise.api.running import RunReport as RunReport
from rigwise.api.running import run as run
from rigwise.api.verbs import calibrate as calibrate
from rigwise.api.verbs import estimate as estimate
from rigwise.api.verbs import plan as plan
from rigwise.api.verbs import scale as scale
from rigwise.api.verbs import split as split
from rigwise.api.verbs import validate as validate
