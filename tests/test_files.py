"""JSON files, checksums, downloads, and the fixture of real data."""

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from common import files
from common.errors import UserError


def test_real_data_skips_without_a_folder_and_fails_without_the_file(
    real_data, tmp_path, monkeypatch
):
    monkeypatch.delenv("DL21_DATA", raising=False)
    with pytest.raises(pytest.skip.Exception, match="DL21_DATA"):
        real_data("mnist")
    monkeypatch.setenv("DL21_DATA", str(tmp_path))
    with pytest.raises(AssertionError, match=f"{tmp_path / 'mnist'} does not exist"):
        real_data("mnist")
    (tmp_path / "mnist").mkdir()
    assert real_data("mnist") == tmp_path / "mnist"


def test_write_json_keeps_the_old_file_until_the_new_one_is_whole(tmp_path, monkeypatch):
    path, part = tmp_path / "a.json", tmp_path / "a.json.part"
    files.write_json(path, {"name": "一"})
    for value, error in ((object(), TypeError), ({"loss": float("nan")}, ValueError)):
        with pytest.raises(error):
            files.write_json(path, value)
        assert not part.exists() and files.read_json(path) == {"name": "一"}

    def broken(self, text, **_):
        self.write_bytes(text.encode()[:3])
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", broken)
        with pytest.raises(OSError, match="disk full"):
            files.write_json(path, {"name": "two"})
    assert json.loads(path.read_text(encoding="utf-8")) == {"name": "一"}
    files.write_json(path, {"name": "two"})
    assert json.loads(path.read_text(encoding="utf-8")) == {"name": "two"}
    assert not part.exists()


@pytest.mark.parametrize(("content", "message"), [
    (None, "cannot read {path}: No such file or directory"),
    (b"", "{path} is not valid JSON"),
    (b'{"name": "tw', "{path} is not valid JSON"),
    (b"\xff\xfe\x00", "{path} is not valid JSON"),
])
def test_json_that_is_missing_or_damaged_is_named(tmp_path, content, message):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        files.read_json(path)
    assert str(caught.value).startswith(message.format(path=path)) and caught.value.hint


WRITER = """
import sys, pathlib
from common import files
for number in range(10**9):
    files.write_json(pathlib.Path(sys.argv[1]), [number] * 100_000)
"""


def test_killed_writer_leaves_whole_json(tmp_path):
    path = tmp_path / "a.json"
    for delay in (0.01, 0.05, 0.1):
        path.unlink(missing_ok=True)
        process = subprocess.Popen([sys.executable, "-c", WRITER, path])
        while not path.exists():
            assert process.poll() is None
            time.sleep(0.005)
        time.sleep(delay)
        process.kill()
        process.wait()
        assert len(set(json.loads(path.read_text()))) == 1


def test_a_user_without_a_home_gets_a_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/a/home")
    assert files.home() == Path("/a/home")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)  # KeyError, as for an unknown user
    assert files.home().is_dir() and files.home() != files.home()


def test_sha256_is_that_of_all_bytes():
    array = np.arange(3, dtype=np.int32)
    expected = hashlib.sha256(array.tobytes() + b"x").hexdigest()
    assert files.sha256(array, b"x") == expected


def test_check_files_lists_missing_and_existing_files(tmp_path):
    (tmp_path / "a").touch()
    assert files.check_files(tmp_path, ["a"], "hint") == [tmp_path / "a"]
    with pytest.raises(UserError, match=r"has no b, c; it holds \['a'\]"):
        files.check_files(tmp_path, ["a", "b", "c"], "hint")
    with pytest.raises(UserError, match="the folder does not exist"):
        files.check_files(tmp_path / "x", ["a"], "hint")


CONTENT = bytes(range(256)) * 1000


SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server():
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            server.ranges.append(wanted := self.headers.get("Range"))
            if self.path == "/missing":
                return self.send_error(404)
            first = int(wanted[6:-1]) if wanted and server.knows_ranges else 0
            if first >= len(CONTENT):
                return self.send_error(416)
            self.send_response(206 if wanted and server.knows_ranges else 200)
            rest = CONTENT[first:]
            if server.chunked:
                self.send_header("Transfer-Encoding", "chunked")
                rest = b"%x\r\n%s\r\n0\r\n\r\n" % (len(rest), rest)
            else:
                self.send_header("Content-Length", str(len(rest)))
            self.end_headers()
            self.wfile.write(rest[: server.cut])

        def log_message(self, *_):
            pass

    Handler.protocol_version = "HTTP/1.1"
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.ranges, server.knows_ranges, server.cut, server.chunked = [], True, None, False
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def closed_url():
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        port = server.server_port
    return f"http://127.0.0.1:{port}/file"


def test_fetch_downloads_once(tmp_path, server, closed_url):
    path = tmp_path / "data" / "file"
    urls = [closed_url, f"{server.url}/file"]
    assert files.fetch(path, urls, SHA256) == path
    assert path.read_bytes() == CONTENT and os.listdir(path.parent) == ["file"]  # noqa: PTH208
    assert files.fetch(path, urls, SHA256) == path and len(server.ranges) == 1


def test_fetch_tells_that_a_file_is_not_the_published_one(tmp_path, capsys):
    path = tmp_path / "file"
    for content in (CONTENT[:-1] + b"x", CONTENT):
        path.write_bytes(content)
        assert files.fetch(path, [], SHA256).read_bytes() == content
        found = hashlib.sha256(content).hexdigest()
        said = capsys.readouterr().err
        assert (f"its sha256 is {found}, not {SHA256}" in said) == (content != CONTENT)


def test_fetch_drops_what_has_the_wrong_sha256(tmp_path, server):
    with pytest.raises(UserError, match=f"has sha256 {SHA256}, expected {'0' * 64}") as caught:
        files.fetch(tmp_path / "file", [f"{server.url}/file"], "0" * 64)
    assert str(tmp_path / "file") in caught.value.hint
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("knows_ranges", [True, False])
def test_fetch_resumes_an_interrupted_download(tmp_path, server, knows_ranges, chunked):
    path, part, urls = tmp_path / "file", tmp_path / "file.part", [f"{server.url}/file"]
    server.knows_ranges, server.chunked, server.cut = knows_ranges, chunked, 100_000
    with pytest.raises(UserError, match=r"the download of .* failed") as caught:
        files.fetch(path, urls, SHA256)
    assert "run again to resume it" in caught.value.hint
    assert not path.exists()
    done = part.stat().st_size
    assert 0 < done <= 100_000 and CONTENT.startswith(part.read_bytes())
    server.cut = None
    assert files.fetch(path, urls, SHA256).read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={done}-"]
    assert not part.exists()


def test_fetch_takes_a_part_that_is_complete(tmp_path, server):
    (tmp_path / "file.part").write_bytes(CONTENT)
    path = files.fetch(tmp_path / "file", [f"{server.url}/file"], SHA256)
    assert path.read_bytes() == CONTENT


def test_fetch_tries_the_next_mirror(tmp_path, server):
    urls = [f"{server.url}/missing", f"{server.url}/file"]
    assert files.fetch(tmp_path / "file", urls, SHA256).read_bytes() == CONTENT


def test_fetch_without_network_explains_what_to_do(tmp_path, closed_url):
    path = tmp_path / "data" / "file"
    with pytest.raises(UserError, match=r"no network: 127\.0\.0\.1:") as caught:
        files.fetch(path, [closed_url], SHA256)
    assert all(word in caught.value.hint for word in (str(path), SHA256, closed_url))
    assert not path.parent.exists()
