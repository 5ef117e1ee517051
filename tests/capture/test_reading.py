import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

from conescope.capture import read_inputs

TABLES = {
    "a.tsv": 'sentence\tlabel\tsource\nA "cat.\t1\tx\n\t0\t\nNo, 3 dogs\t1\ty\n',
    "a.csv": 'sentence,label,source\n"A ""cat.",1,x\n"",0,\n"No, 3 dogs",1,y\n',
    "a.jsonl": '{"sentence": "A \\"cat.", "label": 1, "source": "x"}\n'
    '{"sentence": "", "label": 0, "source": ""}\n'
    '{"sentence": "No, 3 dogs", "label": 1, "source": "y"}\n',
}
READ = ['A "cat.', "", "No, 3 dogs"]


def test_a_text_a_line(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("one cat\n\n  two cats\u2028still two \n \r\nZürich\r\n", encoding="utf-8")
    assert read_inputs(path) == (["one cat", "two cats\u2028still two", "Zürich"], "text")
    path.write_bytes(b"\xef\xbb\xbfone\n")  # with the mark that some editors put first
    assert read_inputs(str(path)) == (["one"], "text")


@pytest.mark.parametrize("name", TABLES)
def test_tables(tmp_path, name):
    path = tmp_path / name
    path.write_text(TABLES[name])
    assert read_inputs(path) == (READ, "text")  # named so among two columns of strings
    assert read_inputs(path, column="source") == (["x", "", "y"], "text")


def test_parquet(tmp_path):
    import pyarrow
    from pyarrow import parquet

    path = tmp_path / "a.parquet"
    titles = pyarrow.array(["x", "y", "x"]).dictionary_encode()
    parquet.write_table(pyarrow.table({"label": [1, 0, 1], "title": titles}), path)
    assert read_inputs(path) == (["x", "y", "x"], "text")  # the only column of strings
    parquet.write_table(pyarrow.table({"title": ["x", None]}), path)
    with pytest.raises(ValueError, match=r"column 'title' is empty in row 1 \(counted from 0\)"):
        read_inputs(path)


def test_texts_that_look_like_numbers_stay_texts(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,score\n007,1\n1e3,2\n")
    assert read_inputs(path) == (["007", "1e3"], "text")
    path.write_text("title,score\n007,1\n1e3,2\n")
    assert read_inputs(path, column="title") == (["007", "1e3"], "text")


@pytest.mark.parametrize(
    ("name", "content", "settings", "message"),
    [
        ("a.tsv", "a\tb\nx\ty\n", {}, "can not tell the column of texts; name one with --column among a, b"),
        ("a.tsv", "text\tsentence\nx\ty\n", {}, "name one with --column among text, sentence"),
        ("a.tsv", "a\tb\n1\t2\n", {}, "name one with --column among a, b"),
        ("a.tsv", "a\tb\nx\ty\n", {"column": "c"}, r"a\.tsv: no column 'c'; there are a, b"),
        ("a.jsonl", '{"a": 1, "b": "x"}\n', {"column": "a"}, "column 'a' holds int64, not texts"),
        ("a.tsv", "text\n", {}, "no rows below the header"),
        ("a.csv", "a,b\nx\n", {}, r"a\.csv: not readable as csv"),
        ("a.parquet", "nothing", {}, "not readable as parquet"),
        ("a.txt", " \n\n", {}, "every line is empty"),
        ("a.txt", "x", {"column": "text"}, "is no table, so it has no column 'text'"),
        ("a.txt", "x", {"modality": "audio"}, "holds text and modality audio was asked for"),
        ("a.doc", "x", {}, r"a\.doc: expected texts \(\*\.txt, \*\.tsv, "),
    ],
)
def test_errors_say_what_was_found(tmp_path, name, content, settings, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        read_inputs(tmp_path / name, **settings)


def test_text_that_is_not_utf_8(tmp_path):
    (tmp_path / "a.txt").write_bytes("Zürich".encode("latin-1"))
    with pytest.raises(ValueError, match=r"a\.txt: not readable as UTF-8"):
        read_inputs(tmp_path / "a.txt")
    with pytest.raises(FileNotFoundError, match=r"no file or folder .*gone"):
        read_inputs(tmp_path / "gone")


def test_folders(tmp_path):
    for name in ("b/2.wav", "b/10.wav", "a.WAV", ".hidden/x.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        wavfile.write(tmp_path / name, 8000, np.zeros(10, dtype=np.int16))
    (tmp_path / "README.md").write_text("sounds")
    sounds = [tmp_path / name for name in ("a.WAV", "b/10.wav", "b/2.wav")]
    assert read_inputs(tmp_path) == (sounds, "audio")
    assert read_inputs(sounds[0]) == (sounds[:1], "audio")
    with pytest.raises(ValueError, match=r"holds no \.png or .*: \.WAV, \.md, \.wav"):
        read_inputs(tmp_path, modality="image")
    with pytest.raises(ValueError, match="is a folder, which has no column 'text'"):
        read_inputs(tmp_path, column="text")
    Image.new("RGB", (4, 4)).save(tmp_path / "b" / "c.png")
    with pytest.raises(ValueError, match="holds 3 sounds and 1 images; say which by the modality"):
        read_inputs(tmp_path)
    assert read_inputs(tmp_path, modality="image") == ([tmp_path / "b" / "c.png"], "image")
    assert read_inputs(tmp_path, modality="audio") == (sounds, "audio")


def test_a_folder_of_neither(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    for settings in ({}, {"modality": "text"}):
        with pytest.raises(
            ValueError, match=r"its 1 files have the suffixes: \.txt\); texts come from one file"
        ):
            read_inputs(tmp_path, **settings)
