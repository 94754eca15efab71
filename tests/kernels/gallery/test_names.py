"""Names are found among millions without each of them becoming a string."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmpc_kernels import BadIndexFile, GalleryIndex
from cmpc_kernels.gallery import names as names_file
from cmpc_kernels.gallery.names import Names

words = st.text(st.sampled_from("abü\0\udcff/"), max_size=12)
endings = st.sampled_from(["", ".png", "/thumbnail.png"])
some_names = st.lists(st.builds("{}{}".format, words, endings), max_size=30)


@pytest.mark.parametrize("piece", [3, 1 << 16])
def test_positions_are_those_of_equal_names(piece, monkeypatch):
    monkeypatch.setattr(names_file, "PIECE_NAMES", piece)

    @settings(max_examples=150, derandomize=True)
    @given(known=some_names, others=some_names, data=st.data())
    def check(known, others, data):
        wanted = data.draw(st.lists(st.sampled_from([*known, *others, ""])))
        found = Names.of(known).positions_of(wanted)
        assert found.tolist() == [n for n, name in enumerate(known) if name in wanted]
        assert list(Names.of(known).take(found)) == [name for name in known if name in wanted]

    check()


@pytest.mark.parametrize("form", ["item/{}", "{:06}/thumbnail.png", "{:06}" + "/" * 300])
def test_no_name_is_decoded_to_find_another(form, monkeypatch):
    names, decoded, decode = Names.of(map(form.format, range(50_000))), [], Names._decode

    def counted(self, first, stop):
        decoded.append(stop - first)
        return decode(self, first, stop)

    monkeypatch.setattr(Names, "_decode", counted)

    wanted = [form.format(number) for number in (7, 49_999, 50_000)]
    assert names.positions_of(wanted).tolist() == [7, 49_999]
    assert sum(decoded) == 2


def test_long_names_that_begin_unlike_and_end_alike_are_told_apart():
    long = [f"{letter}{'x' * 2000}" for letter in "abc"]

    assert Names.of(long).positions_of(long[1:]).tolist() == [1, 2]


@pytest.mark.parametrize("ends", [[2, 1, 3], [1, 2, 4], [-1, 2, 3]])
def test_names_that_an_altered_file_puts_out_of_order_are_not_copied(ends):
    names = Names(np.frombuffer(b"abc", np.uint8), np.array(ends))

    with pytest.raises(BadIndexFile, match="out of order"):
        names.take(np.array([0, 2]))


def test_items_that_were_removed_are_found_by_no_name():
    index = GalleryIndex.build(np.eye(4, dtype=np.float32), item_names=["a", "b", "a", "c"])
    index.remove([0])

    assert index.ids_of(["a", "c", "d"]).tolist() == [2, 3]
