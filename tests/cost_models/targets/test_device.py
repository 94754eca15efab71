import pytest

from cmpc_cost_models.errors import BadArgument
from cmpc_cost_models.targets.device import Device
from cmpc_cost_models.targets.table import find_target


@pytest.mark.parametrize(
    "name", ["local", "none", "rpc://board:9090", "rpc://10.0.0.7:9190/pi4", "rpc://[::1]:9090"]
)
def test_a_device_is_called_what_it_was_named(name):
    assert Device.named(name).name == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "remote",
        "rpc://board",
        "rpc://:9090",
        "rpc://board:port",
        "rpc://board:99999",
        "http://board:9090",
        "rpc://board:9090/one/two",
        "rpc://user@board:9090",
    ],
)
def test_what_is_no_device_is_refused(name):
    with pytest.raises(BadArgument, match=r"rpc://HOST:PORT"):
        Device.named(name)


def test_without_a_name_the_machine_at_hand_serves_the_targets_it_can_run():
    host = find_target("host")
    foreign = find_target("cortex-a72" if host.architecture == "x86_64" else "x86-64-v3")

    assert Device.default_for(host).kind == "local"
    assert Device.default_for(foreign).kind == "none"
