"""A flag beats the environment, which beats the file; what nobody knows is refused by name."""

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from cmpc.commands import CommandEntry
from cmpc.errors import BadSettings
from cmpc.settings import resolution
from cmpc.settings.resolution import Places, resolve


class Training(BaseModel):
    epochs: int = Field(default=3, ge=1)


class Coarse(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Literal["coarse"] = "coarse"
    grain: int = Field(default=1, ge=1)


class Fine(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Literal["fine"] = "fine"
    thickness: int = 2


class Search(BaseModel):
    trials: int = Field(default=10, ge=1)
    sampler: Literal["tpe", "nsga2"] = "tpe"
    budgets_ms: tuple[float, ...] = ()
    training: Training = Training()
    paper: Coarse | Fine = Field(default=Coarse(), discriminator="kind")


@pytest.fixture(autouse=True)
def _search_has_a_table(monkeypatch):
    entry = CommandEntry("nowhere:search", "Search.", reads_settings=True)
    monkeypatch.setattr(resolution, "COMMANDS", {"search": entry})


@pytest.fixture
def resolve_search(tmp_path):
    def call(text="", environment=None, flags=None):
        path = tmp_path / "some.toml"
        path.write_text(text)
        places = Places(toml_path=path, environment=environment or {}, flags=flags or {})
        return resolve(Search, "search", places)

    return call


NUMBERS = st.none() | st.integers(min_value=1, max_value=10**6)


@given(in_file=NUMBERS, in_environment=NUMBERS, as_flag=NUMBERS)
def test_the_strongest_place_that_gives_a_value_wins(
    tmp_path_factory, in_file, in_environment, as_flag
):
    path = tmp_path_factory.getbasetemp() / "precedence.toml"
    path.write_text("" if in_file is None else f"[search]\ntrials = {in_file}\n")
    environment = {} if in_environment is None else {"CMPC_SEARCH_TRIALS": str(in_environment)}
    flags = {} if as_flag is None else {"trials": as_flag}
    entry = CommandEntry("nowhere:search", "Search.", reads_settings=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resolution, "COMMANDS", {"search": entry})
        places = Places(toml_path=path, environment=environment, flags=flags)
        found = resolve(Search, "search", places).trials

    strongest_first = (as_flag, in_environment, in_file, 10)
    assert found == next(value for value in strongest_first if value is not None)


def test_tables_within_are_reached_from_all_three_places(resolve_search):
    text = "[search.training]\nepochs = 7\n"
    environment = {"CMPC_SEARCH_TRAINING_EPOCHS": "8"}

    assert resolve_search(text).training.epochs == 7
    assert resolve_search(text, environment).training.epochs == 8
    assert resolve_search(text, environment, {"training_epochs": 9}).training.epochs == 9


def test_a_table_of_one_of_several_kinds_is_put_together_from_all_places(resolve_search):
    text = '[search.paper]\nkind = "fine"\nthickness = 3\n'

    assert resolve_search(text).paper == Fine(thickness=3)
    assert resolve_search(text, {"CMPC_SEARCH_PAPER_THICKNESS": "4"}).paper == Fine(thickness=4)
    assert resolve_search(flags={"paper_kind": "fine"}).paper == Fine()


def test_a_variable_gives_a_list_as_toml_does(resolve_search):
    found = resolve_search(environment={"CMPC_SEARCH_BUDGETS_MS": "[1.5, 3]"})

    assert found.budgets_ms == (1.5, 3.0)


def test_without_a_named_file_the_one_in_the_working_folder_is_read(tmp_path, monkeypatch):
    (tmp_path / "cmpc.toml").write_text("[search]\ntrials = 4\n")
    monkeypatch.chdir(tmp_path)

    assert resolve(Search, "search", Places()).trials == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[search]\ntrails = 1", "'trails'.* did you mean 'trials'"),
        ("[search.training]\nepoch = 1", "'epoch'.* did you mean 'epochs'"),
        ("[serch]\ntrials = 1", r"\[serch\].* did you mean 'search'"),
        ("[search.paper]\ngrains = 1", "'grains'.* did you mean 'grain'"),
        ("[search]\ntraining = 1", "'training' .* must be a table, got 1"),
        ("[search", "must be a TOML file"),
        ("search = 3", "must be a table, got 3"),
        ("[search]\ntrials = 0", r"trials must be .* 1, got 0 \(from \[search\] in .*some.toml"),
        ("[search]\nsampler = 'x'", "sampler must be 'tpe' or 'nsga2', got 'x'"),
    ],
)
def test_a_file_that_says_what_cannot_be_is_refused_in_words(resolve_search, text, message):
    with pytest.raises(BadSettings, match=message):
        resolve_search(text)


def test_a_misspelt_variable_is_refused_and_other_tables_are_left_alone(resolve_search):
    with pytest.raises(BadSettings, match=r"CMPC_SEARCH_TRAILS.* 'CMPC_SEARCH_TRIALS'"):
        resolve_search(environment={"CMPC_SEARCH_TRAILS": "1"})

    assert resolve_search(environment={"CMPC_CACHE": "/tmp", "HOME": "/"}).trials == 10


def test_a_value_that_is_no_number_names_the_variable_it_came_from(resolve_search):
    with pytest.raises(
        BadSettings, match=r"must be a valid integer, got 'many' \(from CMPC_SEARCH_TRIALS\)"
    ):
        resolve_search(environment={"CMPC_SEARCH_TRIALS": "many"})


def test_all_complaints_come_at_once(resolve_search):
    with pytest.raises(BadSettings) as raised:
        resolve_search("[search]\ntrials = 0\nsampler = 'x'")

    assert len(str(raised.value).splitlines()) == 2


def test_a_byte_order_mark_is_no_part_of_a_settings_file(resolve_search):
    assert resolve_search("\ufeff[search]\ntrials = 7\n").trials == 7
