"""The verbs. Here the two rivers meet: what thinks (cost, search) and what does (run); every room is imported inside.

Names and records are taken alike: `plan("gpt3-175b", "512xa100-sxm-80gb")` and `plan(model, cluster)` say the same.
"""

from rigwise.api.advising import advise as advise
from rigwise.api.advising import chart as chart
from rigwise.api.advising import define as define
from rigwise.api.advising import mixed as mixed
from rigwise.api.advising import power_caps as power_caps
from rigwise.api.advising import prices_of as prices_of
from rigwise.api.advising import refresh_prices as refresh_prices
from rigwise.api.advising import terms as terms
from rigwise.api.advising import why_not as why_not
from rigwise.api.brain import brain_compare as brain_compare
from rigwise.api.brain import brain_estimate as brain_estimate
from rigwise.api.brain import brain_forecast as brain_forecast
from rigwise.api.brain import brain_machines as brain_machines
from rigwise.api.brain import brain_neuron as brain_neuron
from rigwise.api.explaining import Explained as Explained
from rigwise.api.explaining import explain as explain
from rigwise.api.explaining import explained as explained
from rigwise.api.machines import check_rig as check_rig
from rigwise.api.machines import rig as rig
from rigwise.api.measuring import Measured as Measured
from rigwise.api.measuring import Replayed as Replayed
from rigwise.api.measuring import calibrate_here as calibrate_here
from rigwise.api.measuring import measure as measure
from rigwise.api.measuring import rate_of as rate_of
from rigwise.api.measuring import replay as replay
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
from rigwise.api.remembering import Examined as Examined
from rigwise.api.remembering import Listing as Listing
from rigwise.api.remembering import examine as examine
from rigwise.api.remembering import history as history
from rigwise.api.remembering import history_csv as history_csv
from rigwise.api.running import RunReport as RunReport
from rigwise.api.running import run as run
from rigwise.api.verbs import calibrate as calibrate
from rigwise.api.verbs import cross_validate as cross_validate
from rigwise.api.verbs import estimate as estimate
from rigwise.api.verbs import plan as plan
from rigwise.api.verbs import scale as scale
from rigwise.api.verbs import split as split
from rigwise.api.verbs import validate as validate
