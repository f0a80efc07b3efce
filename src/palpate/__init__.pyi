from palpate.imaging.files.wavefield_folder import read_wave_fields as read_wave_fields
from palpate.imaging.stiffness_posterior import StiffnessPosterior as StiffnessPosterior
from palpate.imaging.stiffness_posterior import read_stiffness as read_stiffness
from palpate.imaging.wavefield import WaveField as WaveField
from palpate.solvers.inversion.in_python import invert as invert
from palpate.twin.in_python import calibrate as calibrate
from palpate.twin.in_python import forecast as forecast

__version__: str
