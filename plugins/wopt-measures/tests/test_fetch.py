import functools
import hashlib
import http.server
import threading

import pooch
import pytest

from wopt import DataError
from wopt_measures import fetch
from wopt_measures.fetch import DataFile, DataSet, data_folder, data_sets


@pytest.fixture
def one_file(tmp_path, monkeypatch):
    """Return a function that makes ``fetch("one")`` copy a file of a server with a checksum."""
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "x.csv").write_bytes(b"a,b\n1,2\n")
    handler = functools.partial(
        http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "there")
    )
    monkeypatch.setattr(http.server.SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def known(checksum: str, port: int = server.server_port):
            file = DataFile(
                path="sub/x.csv", url=f"http://127.0.0.1:{port}/x.csv", checksum=checksum
            )
            made = DataSet(title="one", licence="MIT", source="http://authors", files=(file,))
            monkeypatch.setattr(fetch, "data_sets", lambda: {"one": made})

        yield known
        server.shutdown()


def test_a_file_is_copied_once_and_checked(one_file, tmp_path):
    one_file("sha256:" + hashlib.sha256(b"a,b\n1,2\n").hexdigest())
    (path,) = fetch.fetch("one", tmp_path / "data")
    assert path == tmp_path / "data" / "sub" / "x.csv"
    assert path.read_bytes() == b"a,b\n1,2\n"
    (tmp_path / "there" / "x.csv").unlink()
    assert fetch.fetch("one", tmp_path / "data") == [path]


def test_another_file_is_refused_and_nothing_is_written(one_file, tmp_path):
    one_file("sha256:" + "0" * 64)
    with pytest.raises(DataError, match="is not the file that wopt knows"):
        fetch.fetch("one", tmp_path / "data")
    assert not [path for path in (tmp_path / "data").rglob("*") if path.is_file()]


def test_without_a_network_the_place_is_named(one_file, tmp_path):
    one_file("sha256:" + "0" * 64, port=1)
    with pytest.raises(DataError, match=r"by hand.*http://authors.*sub/x\.csv"):
        fetch.fetch("one", tmp_path)


def test_what_cannot_be_copied_says_how_to_make_it(tmp_path):
    with pytest.raises(DataError, match=r"make, in .*magic\.npz"):
        fetch.fetch("magic", tmp_path)
    with pytest.raises(DataError, match="there is no data set 'nope'; there are emt"):
        fetch.fetch("nope", tmp_path)


@pytest.mark.parametrize("name", [name for name, each in data_sets().items() if each.files])
def test_the_files_of_this_machine_have_the_checksums(name):
    for file in data_sets()[name].files:
        place = data_folder() / file.path
        if not place.exists() or file.checksum.startswith("md5:"):
            pytest.skip(f"{place} is not here, or packed anew")
        assert "sha256:" + pooch.file_hash(str(place)) == file.checksum
