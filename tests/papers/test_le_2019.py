"""Facts of Le and others 2019 (hal-02986361) that the code must hold."""

import pytest
import torch

from inference.networks.shared_trunk import SharedTrunkNet
from inference.networks.trunks import parameters_in
from inference.systems import shared_trunk
from train.losses import class_weights, joint


def test_the_paper_configuration_has_23_52_million_parameters() -> None:
    assert round(parameters_in(SharedTrunkNet()) / 1e6, 2) == 23.52


def test_the_input_is_1152_by_832_and_every_pixel_gets_five_classes() -> None:
    with torch.inference_mode():
        reading = SharedTrunkNet().eval()(torch.rand(1, 3, 1152, 832))
    assert reading.pixels.shape == (1, 5, 1152, 832)
    assert reading.cancer.shape == (1,)


def test_s_net_is_one_convolution_and_c_net_one_layer() -> None:
    net = SharedTrunkNet()
    assert parameters_in(net.s_net) == 2048 * 5 + 5
    assert parameters_in(net.c_net) == 2048 + 1


def test_the_five_classes_are_healthy_and_two_by_two() -> None:
    assert (
        shared_trunk.HEALTHY,
        shared_trunk.BENIGN_MASS,
        shared_trunk.MALIGNANT_MASS,
        shared_trunk.BENIGN_CALCIFICATION,
        shared_trunk.MALIGNANT_CALCIFICATION,
    ) == (0, 1, 2, 3, 4)


def test_equation_1_weighs_classification_by_lambda() -> None:
    both = joint(torch.tensor(2.0), torch.tensor(4.0), 0.25)
    assert sum(both.values()) == pytest.approx(0.25 * 2 + 0.75 * 4)


def test_healthy_pixels_do_not_dominate_the_loss() -> None:
    import numpy as np

    weights = class_weights(np.array([990_000, 4_000, 3_000, 2_000, 1_000]))
    assert weights[0] == pytest.approx(1, abs=0.01)
    assert weights[4] == pytest.approx(1000**0.5, rel=0.01)
    assert float(class_weights(np.array([10**9, 1, 1, 1, 1])).max()) == 100
