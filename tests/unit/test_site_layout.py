"""The site's folder stays in step with its pages, and its server shows that folder and nothing else."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from egregora.errors import EgregoraError, StorageError
from egregora.site.layout import BlobError, LaidOut, lay_out
from egregora.site.policy import CSP
from egregora.site.serve import open_server, serve

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

FILES = {
    "index.html": b"<!doctype html><head></head>front",
    "posts/one.html": b"one",
    "posts/two.html": b"two",
    "assets/style.css": b"body {}",
    "404.html": b"<!doctype html><head></head>lost",
}


class Desk:
    """A site's folder with its blobs and manifest."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "site"
        self.blobs = root / ".egregora" / "blobs"
        self.manifest = root / ".egregora" / "site-manifest.json"
        self.blobs.mkdir(parents=True)

    def page(self, path: str, data: bytes) -> tuple[str, str, int]:
        """A row of `PAGES`, its blob kept."""
        blob = f"{hashlib.sha256(data).hexdigest()}.{path.rpartition('.')[2]}"
        (self.blobs / blob).write_bytes(data)
        return path, blob, len(data)

    def lay_out(self, files: dict[str, bytes]) -> LaidOut:
        pages = [self.page(path, data) for path, data in files.items()]
        return lay_out(pages, blobs=self.blobs, folder=self.folder, manifest=self.manifest)

    def found(self) -> dict[str, bytes]:
        """Everything below the folder."""
        return {
            path.relative_to(self.folder).as_posix(): path.read_bytes()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file()
        }


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


class TestKeepingInStep:
    """Written, removed, unchanged."""

    def test_the_folder_holds_the_pages(self, desk: Desk) -> None:
        assert desk.lay_out(FILES) == LaidOut(written=5, removed=0, unchanged=0)
        assert desk.found() == dict(sorted(FILES.items()))

    def test_a_second_time_nothing_happens(self, desk: Desk) -> None:
        desk.lay_out(FILES)
        stamps = {path: path.stat().st_mtime_ns for path in desk.folder.rglob("*")}
        kept = desk.manifest.stat().st_mtime_ns
        assert desk.lay_out(FILES) == LaidOut(0, 0, 5)
        assert stamps == {path: path.stat().st_mtime_ns for path in desk.folder.rglob("*")}
        assert kept == desk.manifest.stat().st_mtime_ns

    def test_an_unchanged_site_needs_no_blobs(self, desk: Desk) -> None:
        pages = [desk.page(path, data) for path, data in FILES.items()]
        lay_out(pages, blobs=desk.blobs, folder=desk.folder, manifest=desk.manifest)
        for blob in desk.blobs.iterdir():
            blob.unlink()
        assert lay_out(pages, blobs=desk.blobs, folder=desk.folder, manifest=desk.manifest) == LaidOut(0, 0, 5)

    def test_deleted_and_edited_pages_come_back(self, desk: Desk) -> None:
        desk.lay_out(FILES)
        (desk.folder / "posts" / "one.html").unlink()
        (desk.folder / "posts" / "two.html").write_bytes(b"TWO")
        assert desk.lay_out(FILES) == LaidOut(2, 0, 3)
        assert desk.found() == dict(sorted(FILES.items()))

    def test_a_whole_folder_comes_back(self, desk: Desk) -> None:
        desk.lay_out(FILES)
        desk.folder.rename(desk.folder.with_name("elsewhere"))
        assert desk.lay_out(FILES) == LaidOut(5, 0, 0)

    def test_a_changed_page_is_written_and_a_gone_one_removed_with_its_folder(self, desk: Desk) -> None:
        desk.lay_out(FILES)
        after = {"index.html": b"other", "assets/style.css": FILES["assets/style.css"]}
        assert desk.lay_out(after) == LaidOut(written=1, removed=3, unchanged=1)
        assert desk.found() == dict(sorted(after.items()))
        assert not (desk.folder / "posts").exists()

    def test_a_copied_site_is_recognised_by_its_bytes(self, desk: Desk) -> None:
        desk.lay_out(FILES)
        for path in desk.folder.rglob("*.html"):
            os.utime(path, (1, 1))
        assert desk.lay_out(FILES) == LaidOut(0, 0, 5)
        # And remembered: the next time a look at size and time is enough.
        assert json.loads(desk.manifest.read_text())["files"]["index.html"][2] == 1_000_000_000

    @pytest.mark.parametrize("damage", [None, "", "not json", "[]", '{"version": 0}'])
    def test_without_a_readable_manifest_equal_files_are_taken_over(self, desk: Desk, damage: str | None) -> None:
        desk.lay_out(FILES)
        desk.manifest.unlink()
        if damage is not None:
            desk.manifest.write_text(damage)
        assert desk.lay_out(FILES) == LaidOut(0, 0, 5)
        assert desk.lay_out({"index.html": FILES["index.html"]}) == LaidOut(0, 4, 1)

    def test_after_a_layout_that_stopped_half_way_the_next_goes_on(self, desk: Desk) -> None:
        desk.lay_out({"index.html": b"old"})
        one, two = desk.page("index.html", b"new"), desk.page("posts/one.html", b"one")
        (desk.blobs / two[1]).write_bytes(b"0ne")
        with pytest.raises(BlobError, match="damaged"):
            lay_out([one, two], blobs=desk.blobs, folder=desk.folder, manifest=desk.manifest)
        assert desk.found() == {"index.html": b"new"}
        assert desk.lay_out({"index.html": b"newest", "posts/one.html": b"one"}) == LaidOut(2, 0, 0)


class TestOthersFiles:
    """What we did not write is not ours."""

    def test_a_file_of_somebody_else_stays(self, desk: Desk) -> None:
        desk.lay_out(FILES)
        (desk.folder / "CNAME").write_text("blog.example.org")
        (desk.folder / "posts" / "mine.html").write_text("mine")
        assert desk.lay_out({}) == LaidOut(0, 5, 0)
        assert desk.found() == {"CNAME": b"blog.example.org", "posts/mine.html": b"mine"}

    def test_a_file_in_the_way_is_an_error_before_anything_is_written(self, desk: Desk) -> None:
        desk.folder.mkdir()
        (desk.folder / "index.html").write_text("mine")
        with pytest.raises(StorageError, match=r"'index\.html' in the site folder was not written by") as caught:
            desk.lay_out(FILES)
        assert caught.value.hint == "move it elsewhere, or write the site to another folder"
        assert desk.found() == {"index.html": b"mine"}

    @pytest.mark.parametrize("place", ["index.html", "posts/one.html"])
    def test_a_folder_in_the_way_is_an_error(self, desk: Desk, place: str) -> None:
        (desk.folder / place).mkdir(parents=True)
        with pytest.raises(StorageError, match="in the way"):
            desk.lay_out(FILES)

    def test_a_file_where_a_folder_should_be_is_an_error(self, desk: Desk) -> None:
        desk.folder.mkdir()
        (desk.folder / "posts").write_text("mine")
        with pytest.raises(StorageError, match="'posts'"):
            desk.lay_out(FILES)

    def test_a_page_that_is_no_more_and_was_removed_already_is_no_trouble(self, desk: Desk) -> None:
        desk.lay_out(FILES)
        (desk.folder / "posts" / "one.html").unlink()
        assert desk.lay_out({"index.html": FILES["index.html"]}) == LaidOut(0, 3, 1)

    def test_a_page_that_is_no_more_but_was_replaced_by_somebody_stays(self, desk: Desk) -> None:
        desk.lay_out(FILES)
        (desk.folder / "posts" / "one.html").write_bytes(b"my own words")
        assert desk.lay_out({"index.html": FILES["index.html"]}) == LaidOut(0, 3, 1)
        assert desk.found()["posts/one.html"] == b"my own words"


class TestPaths:
    """No way leads out of the folder."""

    @pytest.mark.parametrize(
        "path",
        ["../x", "/etc/x", "a/../../x", "a//b", "./a", "", "a/", "..", "C:/x", "a\\..\\..\\x", "a:stream", "a\0b"],
    )
    def test_paths_outside_are_refused(self, desk: Desk, path: str) -> None:
        _, blob, size = desk.page("index.html", b"x")
        with pytest.raises(StorageError, match="leads out of the site folder"):
            lay_out([(path, blob, size)], blobs=desk.blobs, folder=desk.folder, manifest=desk.manifest)

    def test_a_manifest_that_names_files_outside_is_refused(self, desk: Desk, tmp_path: Path) -> None:
        victim = tmp_path / "victim"
        victim.write_bytes(b"x")
        entry = [f"{hashlib.sha256(b'x').hexdigest()}.html", 1, victim.stat().st_mtime_ns]
        desk.manifest.write_text(json.dumps({"version": 1, "files": {"../victim": entry}}))
        with pytest.raises(StorageError):
            desk.lay_out(FILES)
        assert victim.exists()

    def test_a_linked_folder_is_not_followed(self, desk: Desk, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        desk.folder.mkdir()
        (desk.folder / "posts").symlink_to(outside)
        with pytest.raises(StorageError, match="'posts'"):
            desk.lay_out(FILES)
        assert list(outside.iterdir()) == []

    def test_a_linked_page_is_replaced_not_followed(self, desk: Desk, tmp_path: Path) -> None:
        outside = tmp_path / "outside.html"
        outside.write_bytes(b"theirs")
        desk.lay_out(FILES)
        (desk.folder / "index.html").unlink()
        (desk.folder / "index.html").symlink_to(outside)
        assert desk.lay_out(FILES) == LaidOut(1, 0, 4)
        assert outside.read_bytes() == b"theirs"
        assert desk.found() == dict(sorted(FILES.items()))

    def test_nothing_is_removed_through_a_link(self, desk: Desk, tmp_path: Path) -> None:
        desk.lay_out(FILES)
        outside = tmp_path / "outside"
        (desk.folder / "posts").rename(outside)
        (desk.folder / "posts").symlink_to(outside)
        with pytest.raises(StorageError, match="'posts'"):
            desk.lay_out({"index.html": FILES["index.html"]})
        assert sorted(path.name for path in outside.iterdir()) == ["one.html", "two.html"]


class TestFailures:
    """What can't be done is said, with what to do about it."""

    def test_a_missing_blob_is_told_apart_so_that_publish_can_run_again(self, desk: Desk) -> None:
        page = desk.page("index.html", b"x")
        (desk.blobs / page[1]).unlink()
        with pytest.raises(BlobError, match="missing from") as caught:
            lay_out([page], blobs=desk.blobs, folder=desk.folder, manifest=desk.manifest)
        assert caught.value.hint == "run again with --force publish"
        assert desk.found() == {}

    def test_a_blob_of_another_size_is_damaged(self, desk: Desk) -> None:
        page = desk.page("index.html", b"x")
        (desk.blobs / page[1]).write_bytes(b"")
        with pytest.raises(BlobError, match="of another size"):
            lay_out([page], blobs=desk.blobs, folder=desk.folder, manifest=desk.manifest)

    def test_a_folder_that_is_a_file_is_an_error(self, desk: Desk) -> None:
        desk.folder.write_text("mine")
        with pytest.raises(StorageError, match="can't be written") as caught:
            desk.lay_out(FILES)
        assert caught.value.hint == "check the folder's permissions"

    @pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the owner of everything may write everywhere")
    def test_a_folder_without_permission_is_an_error(self, desk: Desk) -> None:
        desk.folder.mkdir(mode=0o500)
        with pytest.raises(StorageError, match="can't be written"):
            desk.lay_out(FILES)

    @pytest.mark.skipif(resource is None, reason="no limits to set on this system")
    def test_a_disk_that_takes_no_more_leaves_no_half_file(self, desk: Desk) -> None:
        pages = [desk.page("index.html", b"x" * 5000)]
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
        try:
            with pytest.raises(StorageError, match="can't be written"):
                lay_out(pages, blobs=desk.blobs, folder=desk.folder, manifest=desk.manifest)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert desk.found() == {}
        assert desk.lay_out({"index.html": b"x" * 5000}) == LaidOut(1, 0, 0)

    def test_a_name_too_long_is_an_error_and_leaves_no_half_file(self, desk: Desk) -> None:
        with pytest.raises(StorageError, match="can't be written"):
            desk.lay_out({f"{'x' * 252}.js": b"x"})
        assert desk.found() == {}


@pytest.fixture
def port(desk: Desk) -> Iterator[int]:
    """A server on the laid-out site, in a thread of its own."""
    desk.lay_out(FILES)
    (desk.folder / ".secret").write_text("secret")
    (desk.folder / "way-out").symlink_to(desk.manifest)
    server = open_server(desk.folder)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def ask(port: int, path: str, *, method: str = "GET", host: str = "") -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", host or f"127.0.0.1:{port}")
    connection.endheaders()
    response = connection.getresponse()
    answer = response.status, dict(response.getheaders()), response.read()
    connection.close()
    return answer


class TestServer:
    """Loopback only, one folder only, strict headers."""

    @pytest.mark.parametrize(
        ("path", "kind"),
        [
            ("/", "text/html; charset=utf-8"),
            ("/index.html?x=1", "text/html; charset=utf-8"),
            ("/assets/style.css", "text/css; charset=utf-8"),
        ],
    )
    def test_files_with_their_type_and_strict_headers(self, port: int, path: str, kind: str) -> None:
        status, headers, data = ask(port, path)
        assert status == 200
        assert data in FILES.values()
        assert headers["Content-type"] == kind
        assert headers["Content-Security-Policy"] == f"{CSP}; frame-ancestors 'none'"
        assert headers["X-Content-Type-Options"] == "nosniff"

    @pytest.mark.parametrize(
        "path",
        [
            "/gone",
            "/posts/",
            "/posts",
            "/.secret",
            "/way-out",
            "/../.egregora/site-manifest.json",
            "/%2e%2e/x",
            "/a%00b",
        ],
    )
    def test_anything_else_is_not_found(self, port: int, path: str) -> None:
        status, headers, data = ask(port, path)
        assert status == 404
        assert data == b'<!doctype html><head><base href="/"></head>lost'
        assert headers["X-Content-Type-Options"] == "nosniff"

    def test_head_has_no_body(self, port: int) -> None:
        assert ask(port, "/", method="HEAD")[::2] == (200, b"")
        assert ask(port, "/gone", method="HEAD")[::2] == (404, b"")

    def test_other_methods_are_refused(self, port: int) -> None:
        assert ask(port, "/", method="POST")[0] == 501

    def test_a_foreign_name_that_leads_here_is_refused(self, port: int) -> None:
        assert ask(port, "/", host="attacker.example")[0] == 421
        assert ask(port, "/", host=f"localhost:{port}")[0] == 200

    def test_only_this_machine_can_reach_it(self, desk: Desk) -> None:
        desk.lay_out(FILES)
        with open_server(desk.folder) as server:
            assert server.server_address[0] == "127.0.0.1"

    def test_serve_tells_its_address_and_stops_on_ctrl_c(self, desk: Desk) -> None:
        desk.lay_out(FILES)
        told: list[str] = []

        def started(address: str) -> None:
            told.append(address)
            # What Ctrl-C does to a process.
            threading.Timer(0.2, os.kill, (os.getpid(), 2)).start()

        serve(desk.folder, started=started)
        assert told[0].startswith("http://127.0.0.1:")

    def test_a_folder_without_a_site_is_an_error(self, desk: Desk) -> None:
        with pytest.raises(StorageError, match="no site in this folder"):
            open_server(desk.folder)

    def test_a_taken_port_is_an_error(self, desk: Desk) -> None:
        desk.lay_out(FILES)
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            with pytest.raises(EgregoraError, match="can't be used") as caught:
                open_server(desk.folder, other.getsockname()[1])
        assert caught.value.hint == "choose another with --port"
        with pytest.raises(EgregoraError, match="can't be used"):
            open_server(desk.folder, 70000)
