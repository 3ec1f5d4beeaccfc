"""Named, reproducible experiments: a paper or a task each, run by one command."""

from . import specimens as specimens
from ._experiment import (
    AbstractExperiment as AbstractExperiment,
    AbstractStudy as AbstractStudy,
    AbstractTraining as AbstractTraining,
    Outcome as Outcome,
)
from ._registry import (
    UnknownExperimentError as UnknownExperimentError,
    find as find,
    names as names,
    register as register,
)
from ._run import FolderError as FolderError, run as run
from ._settings import (
    SettingError as SettingError,
    configure as configure,
    setting as setting,
)

register("associative-memory", "pnnjax.zoo._associative_memory:AssociativeMemoryStudy")
register("dfa-on-pcm", "pnnjax.zoo._dfa_on_pcm:DFAOnPCM")
register("digits-ep", "pnnjax.zoo._digits_ep:DigitsEP")
register("digits-kuramoto", "pnnjax.zoo._digits_kuramoto:DigitsKuramoto")
register("digits-mesh", "pnnjax.zoo._digits_mesh:DigitsMesh")
register("digits-rc", "pnnjax.zoo._digits_rc:DigitsRC")
register("digits-scattering", "pnnjax.zoo._digits_scattering:DigitsScattering")
register("echo-lattice", "pnnjax.zoo._echo_lattice:EchoLattice")
register("ep-on-memristors", "pnnjax.zoo._ep_on_memristors:EPOnMemristors")
register("fashion-conv-ep", "pnnjax.zoo._fashion_conv_ep:FashionConvEP")
register("fashion-d2nn", "pnnjax.zoo._fashion_d2nn:FashionD2NN")
register("fashion-mgd", "pnnjax.zoo._fashion_mgd:FashionMGD")
register("fashion-pendula", "pnnjax.zoo._fashion_pendula:FashionPendula")
register("ff-fiber", "pnnjax.zoo._ff_fiber:FFFiber")
register("hil-demo", "pnnjax.zoo._hil_demo:HILDemo")
register("iris-coupled", "pnnjax.zoo._iris_coupled:IrisCoupled")
register("mackey-glass", "pnnjax.zoo._mackey_glass:MackeyGlass")
register("mnist-d2nn", "pnnjax.zoo._mnist_d2nn:MnistD2NN")
register("mnist-dfa", "pnnjax.zoo._mnist_dfa:MnistDFA")
register("mnist-optical-dfa", "pnnjax.zoo._mnist_optical_dfa:MnistOpticalDFA")
register("mnist-ep", "pnnjax.zoo._mnist_ep:MnistEP")
register("mnist-ff", "pnnjax.zoo._mnist_ff:MnistFF")
register("mnist-drn", "pnnjax.zoo._mnist_drn:MnistDRN")
register("mnist-ising-ep", "pnnjax.zoo._mnist_ising_ep:MnistIsingEP")
register("mnist-rram-pulsed", "pnnjax.zoo._mnist_rram_pulsed:MnistRRAMPulsed")
register("mnist-pcm", "pnnjax.zoo._mnist_pcm:MnistPCM")
register("mnist-waveguide", "pnnjax.zoo._mnist_waveguide:MnistWaveguide")
register("maxcut-gset", "pnnjax.zoo._maxcut_gset:MaxcutGset")
register("mesh-cmaes", "pnnjax.zoo._mesh_cmaes:MeshCMAES")
register("mismatch-study", "pnnjax.zoo._mismatch_study:MismatchStudy")
register("moons-insitu", "pnnjax.zoo._moons_insitu:MoonsInSitu")
register("narma10", "pnnjax.zoo._narma10:Narma10")
register("pat-toy", "pnnjax.zoo._pat_toy:PATToy")
register("pendula-pat", "pnnjax.zoo._pendula_pat:PendulaPAT")
register("santa-fe", "pnnjax.zoo._santa_fe:SantaFe")
register("phyll-cavity", "pnnjax.zoo._phyll_cavity:PhyLLCavity")
register("runs-to-accuracy", "pnnjax.zoo._runs_to_accuracy:RunsToAccuracy")
register("selflearning-machine", "pnnjax.zoo._selflearning_machine:SelfLearning")
register("spoken-digits-delay", "pnnjax.zoo._spoken_digits_delay:SpokenDigitsDelay")
register("spsa-on-rram", "pnnjax.zoo._spsa_on_rram:SPSAOnRRAM")
register("vowel-forward-only", "pnnjax.zoo._vowel_forward_only:VowelForwardOnly")
register("vowel-mesh", "pnnjax.zoo._vowel_mesh:VowelMesh")
register("vowel-shg", "pnnjax.zoo._vowel_shg:VowelSHG")
register("vowel-stno", "pnnjax.zoo._vowel_stno:VowelSTNO")
register("vowel-wave", "pnnjax.zoo._vowel_wave:VowelWave")
