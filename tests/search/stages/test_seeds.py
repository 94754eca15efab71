"""Another seed is another training from the first view on, and may be another gallery network."""

import json
import shutil
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch

from cmpc_search.compatibility.making import make_method
from cmpc_search.errors import BadGallery, BadRun
from cmpc_search.gallery import Gallery, embed_gallery, open_gallery
from cmpc_search.runs import RunFolder, open_run
from cmpc_search.stages import pick_training, supernet, view_banks
from cmpc_search.stages.gallery_training import train_gallery
from cmpc_search.stages.material import load_material
from cmpc_search.stages.pick_training import control_plan
from cmpc_search.stages.run_material import space_facts
from cmpc_search.stages.seed_results import results_of_seeds
from cmpc_search.stages.seeds import Seed, check_new_galleries, make_new_gallery, parts_of
from cmpc_search.stages.settings import GallerySettings, TrainSettings
from cmpc_search.stages.supernet import load_supernet, make_supernet
from cmpc_search.stages.trained_picks import trained_picks
from cmpc_search.stages.training import PickTrainer
from cmpc_search.stages.view_banks import make_view_bank
from cmpc_search.training import view_bank
from cmpc_search.training.settings import GalleryTraining, PickTraining, SupernetTraining

TRAIN = TrainSettings(pick=PickTraining(num_steps=2, batch_size=4), control_steps=3)
NEW = Seed(number=1, has_new_gallery=True)


class Killed(BaseException):
    """Ends a training where `kill -9` would: nothing of ours catches it."""


class Show:
    """Notes which parts work, and ends the work in the one that ``fatal`` names."""

    def __init__(self, fatal=None):
        self.fatal, self.parts = fatal, []

    @contextmanager
    def progress(self, part):
        def progress(done, total):
            if part not in self.parts:
                self.parts.append(part)
            if part == self.fatal:
                raise Killed

        yield progress

    def notice(self, message):
        pass


def trainer_of(run, material, architecture, show=None):
    return PickTrainer(
        run=run,
        material=material,
        architecture=architecture,
        settings=TRAIN,
        observer=show or Show(),
    )


@pytest.fixture(scope="module")
def own_gallery(tmp_path_factory, pictures, image_set):
    """A gallery network that cmpc trained, for two steps."""
    training = GalleryTraining(num_steps=2, classes_per_batch=2)
    settings = GallerySettings(
        data=str(pictures), depths="1,1", width=4, input_size_px=32, training=training, seed=4
    )
    gallery = train_gallery(
        tmp_path_factory.mktemp("own") / "gallery",
        settings,
        image_set,
        cache_dir=tmp_path_factory.mktemp("cache"),
    )
    embed_gallery(gallery, image_set)
    return gallery.path


@pytest.fixture
def own_material(settings, own_gallery, cache_dir):
    short = settings.model_copy(update={"supernet": SupernetTraining(num_steps=2, batch_size=4)})
    return load_material(short, own_gallery, cache_dir=cache_dir)


@pytest.fixture
def new_run(tmp_path, own_material):
    """Return a function that makes a run whose supernet is trained."""

    def make(name="run"):
        made = open_run(
            tmp_path / name,
            settings=own_material.settings.model_dump(mode="json"),
            inputs=own_material.hashes() | space_facts(own_material.settings),
        )
        make_supernet(made, own_material, make_view_bank(own_material))
        return made

    return make


@pytest.fixture
def train(own_material):
    """Return a function that trains the smallest architecture with some seed."""

    def trained(run, seed, show=None):
        architecture = own_material.space.smallest()
        return trainer_of(run, own_material, architecture, show).train(seed)

    return trained


def test_a_seed_has_views_a_supernet_and_weights_of_its_own(new_run, train, own_material):
    run = new_run()

    first, second = train(run, Seed(number=0)), train(run, Seed(number=1))

    parts = parts_of(run, own_material, Seed(number=1))
    numbers = torch.arange(5)
    mine, other = (make_view_bank(one).views(numbers) for one in (own_material, parts.material))
    assert not torch.equal(mine, other)
    supernets = [load_supernet(one, own_material).embedding.weight for one in (run, parts.run)]
    assert not torch.equal(*supernets)
    assert first.onnx_path.read_bytes() != second.onnx_path.read_bytes()


def test_facts_say_what_a_pick_was_trained_from(new_run, train, own_material):
    run = new_run()

    facts = [train(run, seed).facts for seed in (Seed(number=0), Seed(number=1), NEW)]

    assert [one.seed for one in facts] == [0, 1, 1]
    assert [one.supernet_seed for one in facts] == [0, 1, 1]
    assert [one.bank_seed for one in facts] == [0, 1, 1]
    galleries = [one.gallery_network_sha256 for one in facts]
    assert galleries[0] == galleries[1] == own_material.gallery.network_sha256
    assert galleries[2] not in galleries[:2]


def test_a_new_gallery_network_is_trained_as_the_first_was_but_with_another_seed(
    new_run, train, own_gallery
):
    run = new_run()
    train(run, NEW)

    new, first = open_gallery(run.path / "seeds/1-new-gallery/gallery"), open_gallery(own_gallery)

    assert new.record.training == first.record.training | {"seed": 5}
    assert new.record.data_sha256 == first.record.data_sha256
    assert new.network_sha256 != first.network_sha256


def test_a_seed_is_judged_beside_the_gallery_network_that_it_fits(new_run, train, own_material):
    run = new_run()
    for seed in (Seed(number=0), Seed(number=1), NEW):
        train(run, seed)
    architecture = own_material.space.smallest()

    kept = results_of_seeds(run, own_material, trained_picks(run, architecture))
    new = results_of_seeds(run, own_material, trained_picks(run, architecture, new_galleries=True))

    assert [one.seed for one in kept] == [one.seed for one in new] == [0, 1]
    precisions = [one.paragon.ranks.average_precisions.tolist() for one in (*kept, *new)]
    assert precisions[0] == precisions[1] == precisions[2] != precisions[3]


PARTS = (
    "Seed 1: training a gallery network",
    "Seed 1: embedding views with the gallery network",
    "Seed 1: training the supernet",
    "Seed 1: training the pick",
)


def test_a_seed_that_was_killed_in_any_part_goes_on_there_and_ends_as_if_it_had_not_been(
    new_run, train, cache_dir, monkeypatch
):
    for module in (view_bank, view_banks):
        monkeypatch.setattr(module, "BATCH_SIZE", 16)  # more than one batch to embed
    run, whole = new_run(), new_run("whole")
    for path in (cache_dir / "views").iterdir():
        shutil.rmtree(path)  # other tests may have made them
    for number, part in enumerate(PARTS):
        show = Show(fatal=part)
        with pytest.raises(Killed):
            train(run, NEW, show)
        # What was killed before is done now, what was done before is not done again.
        assert show.parts == list(PARTS[max(0, number - 1) : number + 1])

    after = train(run, NEW)

    assert after.onnx_path.read_bytes() == train(whole, NEW).onnx_path.read_bytes()
    show = Show()
    train(run, NEW, show)
    assert show.parts == []


def test_new_galleries_are_refused_where_cmpc_did_not_train_the_first(own_material, tmp_path):
    record = own_material.gallery.record
    imported = Gallery(tmp_path, record.model_copy(update={"network": "onnx", "training": None}))

    with pytest.raises(BadGallery, match="it is your own"):
        check_new_galleries(imported)


def test_new_galleries_are_refused_where_the_training_of_the_first_is_not_ours_to_repeat(
    own_material, tmp_path
):
    shipped = own_material.gallery.record.model_copy(update={"training": {"temperature": 3}})

    with pytest.raises(
        BadGallery, match=r"can't repeat its training \(temperature: .*leave out --n"
    ):
        check_new_galleries(Gallery(tmp_path, shipped))


def test_a_new_gallery_network_is_not_trained_on_other_data(new_run, own_material):
    gallery = own_material.gallery
    older = gallery.record.model_copy(update={"data_sha256": "of last year"})
    changed = Gallery(gallery.path, older)

    with pytest.raises(BadGallery, match="has changed since"):
        make_new_gallery(new_run(), replace(own_material, gallery=changed), NEW)


def test_seeds_with_new_galleries_must_be_trained_before_they_are_judged(
    new_run, train, own_material
):
    run = new_run()
    train(run, Seed(number=0))

    with pytest.raises(BadRun, match="--new-galleries"):
        trained_picks(run, own_material.space.smallest(), new_galleries=True)


def test_the_control_is_trained_once_and_says_that_it_met_no_gallery(new_run, own_material):
    run, architecture = new_run(), own_material.space.smallest()
    shows = [Show(), Show()]

    controls = [trainer_of(run, own_material, architecture, show).train_control() for show in shows]

    assert "gallery_network_sha256" not in json.loads(controls[0].facts_path.read_text())
    assert controls[0].facts.method == "independent"
    assert controls[0].training["num_steps"] == 3
    assert shows[1].parts == []


def test_nothing_of_the_gallery_network_reaches_the_control(tmp_path, own_material):
    architecture, bank = own_material.space.smallest(), make_view_bank(own_material)
    other = replace(bank, gallery_embeddings=-bank.gallery_embeddings)
    known = own_material.gallery_bank
    turned = replace(
        own_material,
        gallery_bank=replace(
            known, embeddings=-known.embeddings, classifier=-known.class_directions
        ),
    )

    controls = [
        control_plan(RunFolder(tmp_path / name), material, architecture, TRAIN).train(views)
        for name, material, views in (("one", own_material, bank), ("two", turned, other))
    ]

    one, two = (control.load(own_material).state_dict() for control in controls)
    assert all(torch.equal(value, two[name]) for name, value in one.items())


def test_a_pick_starts_from_the_supernet_of_its_own_seed(new_run, train, own_material, monkeypatch):
    run, load, read = new_run(), pick_training.load_supernet, []

    def note(folder, material):
        read.append(folder.path)
        return load(folder, material)

    monkeypatch.setattr(pick_training, "load_supernet", note)
    for number in (0, 1):
        train(run, Seed(number=number))

    assert read == [run.path, parts_of(run, own_material, Seed(number=1)).run.path]


def test_what_is_set_of_the_method_is_set_for_supernet_and_pick(
    tmp_path, own_material, monkeypatch
):
    told = own_material.settings.model_copy(update={"method_settings": {"bct": {"scale": 5.0}}})
    material, made = replace(own_material, settings=told), []

    def note(name, bank, settings=None, **options):
        made.append((name, settings))
        return make_method(name, bank, settings, **options)

    for module in (supernet, pick_training):
        monkeypatch.setattr(module, "make_method", note)
    run = RunFolder(tmp_path / "run")
    make_supernet(run, material, make_view_bank(material))
    trainer_of(run, material, material.space.smallest()).train(Seed(number=0))

    assert made == [("bct+regression", {"bct": {"scale": 5.0}})] * 2


def test_weights_of_another_architecture_stay_when_one_is_trained(new_run, own_material):
    run, space = new_run(), own_material.space
    architectures = space.smallest(), *list(space.covering())[-1:]

    picks = [trainer_of(run, own_material, one).train(Seed(number=0)) for one in architectures]

    assert [trained_picks(run, one)[0].architecture for one in architectures] == [
        one.key for one in architectures
    ]
    assert all(pick.load(own_material) is not None for pick in picks)
