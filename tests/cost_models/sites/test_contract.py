"""All sites of ours keep what every site promises."""

import pytest
from rpc_servers import LOOPBACK, needs_server, server

from cmpc_cost_models.sites.emulated import EmulatedSite
from cmpc_cost_models.sites.here import HereSite
from cmpc_cost_models.sites.rpc import RpcSite
from cmpc_cost_models.targets.device import Device
from cmpc_cost_models.targets.machine import rank_cpus
from cmpc_cost_models.targets.table import find_target
from cmpc_cost_models.targets.toolchain import find_toolchain
from cmpc_cost_models.testing.sites import SiteContract


class TestHere(SiteContract):
    @pytest.fixture
    def site(self, host):
        return HereSite(rank_cpus()[:1])


class TestEmulated(SiteContract):
    is_timed = False

    @pytest.fixture
    def target(self, runtime_dir):
        target = find_target("arm")
        toolchain = find_toolchain(target, cache_dir=runtime_dir)
        if not toolchain.can_execute:
            pytest.skip("; ".join(toolchain.lacking))
        return target

    @pytest.fixture
    def site(self, target, runtime_dir):
        return EmulatedSite(find_toolchain(target, cache_dir=runtime_dir))


@pytest.mark.slow
@needs_server
class TestRpc(SiteContract):
    @pytest.fixture
    def site(self, host):
        with server() as (port, _):
            yield RpcSite(Device(kind="rpc", host=LOOPBACK, port=port), host)
