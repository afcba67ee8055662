"""Services of Google that do not answer are told in one sentence, in real processes of a machine without a network."""

import http.server
import threading

import pytest

from tests.conftest import SAMPLES, command
from tfbert import InputError
from tfbert.core import network
from tfbert.core.network import why_silent
from tfbert.data.sources import read_examples

TRAIN = ["--preset=minilm", f"--train_file={SAMPLES}/support_desk_train.tsv"]
# Addresses whose names are never given to anybody (RFC 2606), and a proxy on a port where nobody listens.
CLOSED = {"https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9", "no_proxy": ""}


@pytest.mark.parametrize("flag", ["--dev_file=gs://nobody/dev.tsv", "--output_dir=gs://nobody/out"])
def test_a_bucket_that_cannot_be_reached(flag, tmp_path):
    result = command(*TRAIN, f"--output_dir={tmp_path}/out", flag, check=1, environment=CLOSED)
    location = flag.partition("=")[2]
    (line,) = result.stderr.splitlines()  # TensorFlow was not even loaded
    assert line.startswith(f"Error: {location} cannot be reached, as Google Cloud Storage does not answer (")


def test_a_bucket_given_in_python(monkeypatch):
    monkeypatch.setattr(network, "_STORAGE", "http://nobody.invalid/")
    network._why_storage_is_silent.cache_clear()
    with pytest.raises(InputError, match="gs://nobody/x.tsv cannot be reached, as Google Cloud Storage"):
        next(read_examples("gs://nobody/x.tsv"))
    network._why_storage_is_silent.cache_clear()


@pytest.fixture
def server():
    """An HTTP server that refuses everything, as a bucket does that one may not read; and one that never answers."""
    handler = type("Refusing", (http.server.BaseHTTPRequestHandler,), {
        "do_GET": lambda self: release.wait() if "wait" in self.path else self.send_error(403),
        "log_message": lambda *_: None})  # fmt: skip
    release = threading.Event()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    release.set()
    server.shutdown()


def test_a_refusal_is_an_answer_and_silence_is_none(server, monkeypatch):
    monkeypatch.setattr(network, "_PATIENCE", 1.0)
    assert why_silent(server) is None
    assert why_silent(f"{server}/wait") in ("no answer within 1 s", "timed out")
    assert why_silent("http://127.0.0.1:9") == "[Errno 111] Connection refused"
