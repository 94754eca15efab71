"""Which machine it is, read from files that say what a test wants them to say."""

import pytest

from cmpc_cost_models.records.evidence import Fingerprint
from cmpc_cost_models.targets import fingerprint
from cmpc_cost_models.targets.fingerprint import features_of, fingerprint_of

BOARD = {
    fingerprint.CPU_INFO: "processor : 0\nFeatures : fp asimd\nCPU part : 0xd08\n\n"
    "processor : 1\nFeatures : fp asimd\nCPU part : 0xd08\n",
    fingerprint.KERNEL: "6.1.21-v8+\n",
    fingerprint.GOVERNOR: "ondemand\n",
    fingerprint.BOOST: "0\n",
}


class Texts:
    """The files of a machine that is made up."""

    def __init__(self, texts):
        self.texts = texts

    def read(self, *patterns):
        return {path: self.texts[path] for path in patterns if path in self.texts}


def test_each_fact_is_read_from_the_file_that_tells_it():
    found = fingerprint_of(Texts(BOARD), architecture="aarch64")

    assert found == Fingerprint(
        cpu_model="0xd08",
        architecture="aarch64",
        num_cores=2,
        features_sha256=found.features_sha256,
        governor="ondemand",
        has_turbo=False,
        is_virtual=False,
        kernel="6.1.21-v8+",
    )
    assert features_of(Texts(BOARD)) == {"fp", "asimd"}


@pytest.mark.parametrize(("flags", "is_same"), [("asimd fp", True), ("fp asimd sve", False)])
def test_features_are_known_by_their_names_in_any_order(flags, is_same):
    other = BOARD[fingerprint.CPU_INFO].replace("fp asimd", flags)

    found, expected = (
        fingerprint_of(Texts(BOARD | {fingerprint.CPU_INFO: text}), architecture="aarch64")
        for text in (other, BOARD[fingerprint.CPU_INFO])
    )

    assert (found == expected) == (found.key == expected.key) == is_same


@pytest.mark.parametrize(
    ("files", "has_turbo"),
    [
        ({fingerprint.BOOST: "1"}, True),
        ({fingerprint.BOOST: "0"}, False),
        ({fingerprint.NO_TURBO: "1"}, False),
        ({fingerprint.NO_TURBO: "0"}, True),
        ({}, None),
    ],
)
def test_a_clock_that_may_rise_is_told_by_either_file(files, has_turbo):
    assert fingerprint_of(Texts(files), architecture="x86_64").has_turbo is has_turbo


def test_a_guest_of_a_hypervisor_is_virtual_and_who_tells_nothing_may_be():
    guest = {fingerprint.CPU_INFO: "processor : 0\nmodel name : EPYC\nflags : avx2 hypervisor\n"}

    found = fingerprint_of(Texts(guest), architecture="x86_64")

    assert (found.cpu_model, found.num_cores, found.is_virtual) == ("EPYC", 1, True)
    silent = fingerprint_of(Texts({}), architecture="x86_64")
    assert (silent.cpu_model, silent.num_cores, silent.is_virtual) == ("x86_64", None, None)
