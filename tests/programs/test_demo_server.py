"""demo_server.py as a process with small models: asked over HTTP and used in a browser, stopped, wrong flags."""

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import types
import urllib.request

import pytest

import demo_server
from common.errors import InputError
from tests.helpers.browser import open_browser
from tests.helpers.model_directories import make_model_directory
from tests.helpers.programs import check_error

PIECES = "[PAD] [UNK] [CLS] [SEP] [MASK] lung cancer in of what ? <".split()
TEXT = "lung <b>\U0001f600 cancer"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Directories of models; the one for entities takes each word for one."""
    directory = tmp_path_factory.mktemp("models")
    span = {"question_type": "factoid", "doc_stride": 8, "max_query_length": 8, "version_2_with_negative": False}
    make_model_directory(directory / "ner", PIECES, "ner", ["B"])
    make_model_directory(directory / "qa", PIECES, "qa", **span)
    return directory


@pytest.fixture(scope="module")
def server(repository, models, tmp_path_factory):
    """A server that runs: its process, its address and the file of its log."""
    log = tmp_path_factory.mktemp("server") / "log"
    command = [
        sys.executable,
        "demo_server.py",
        f"--ner_model=Organ={models}/ner",
        f"--qa_model={models}/qa",
        "--port=0",
    ]
    with open(log, "wb") as file, subprocess.Popen(command, cwd=repository, stderr=file, stdout=file) as process:
        address = None
        while not address and process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.2)
            address = re.search(r"listening at (http://127\.0\.0\.1:\d+)\n", log.read_text())
        assert address, log.read_text()
        try:
            yield types.SimpleNamespace(process=process, address=address[1], log=log)
        finally:
            process.kill()


def ask(server, path, values=None):
    data = None if values is None else json.dumps(values).encode()
    request = urllib.request.Request(server.address + path, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


def test_the_api_answers(server):
    assert [model["name"] for model in ask(server, "/api/models")["entities"]] == ["Organ"]
    found = ask(server, "/api/annotate", {"text": TEXT})
    assert found["text"] == TEXT
    assert [(entity["type"], entity["text"], entity["start"]) for entity in found["entities"]][:2] == [
        ("Organ", "lung", 0),
        ("Organ", "<", 5),
    ]
    assert found["entities"][-1] | {"confidence": None} == {
        "id": f"T{len(found['entities'])}",
        "type": "Organ",
        "start": 10,
        "end": 16,
        "text": "cancer",
        "confidence": None,
        "model": "Organ",
    }
    for answer in ask(server, "/api/answer", {"text": TEXT, "question": "what?"})["answers"]:
        assert answer["text"] == TEXT[answer["start"] : answer["end"]]


def test_several_texts(server):
    found = ask(server, "/api/annotate", {"texts": [TEXT, "cancer"]})
    assert [document["text"] for document in found] == [TEXT, "cancer"]
    assert found[1]["entities"][0]["text"] == "cancer"


def test_connections_that_send_slowly_keep_nobody_out(server):
    host, port = server.address.removeprefix("http://").split(":")
    with contextlib.ExitStack() as stack:
        for _ in range(300):
            connection = stack.enter_context(socket.create_connection((host, port), timeout=60))
            connection.sendall(b"GET / HTTP/1.1\r\nX: ")
        assert ask(server, "/api/annotate", {"text": TEXT})["text"] == TEXT


def test_a_huge_body_is_refused_by_its_header(server):
    host = server.address.removeprefix("http://")
    address = host.split(":")
    with socket.create_connection(address, timeout=60) as connection:
        connection.sendall(f"POST /api/annotate HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100000000\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_the_page_in_a_browser(server, tmp_path):
    with open_browser(tmp_path / "profile") as browser:
        browser.resize(1280, 900)
        browser.go(server.address)
        assert "kidney" in browser.run("document.querySelector('textarea').value")
        browser.run(f"document.querySelector('textarea').value = {json.dumps(TEXT)}")
        browser.run("document.querySelector('input').value = 'what?'")
        # By the keyboard alone: to the text, the question, the button.
        for name in ("text", "question", ""):
            browser.press("Tab", 9)
            assert browser.run("document.activeElement.id") == name
        browser.load(lambda: browser.press("Enter", 13, "\r"))
        assert browser.run("document.activeElement.id") == "results"
        marks = "[...document.querySelectorAll('[aria-labelledby=entities] p mark')]"
        assert browser.run(f"{marks}.map(mark => mark.textContent)")[:2] == ["lung", "<"]
        assert browser.run("document.querySelector('textarea').value") == TEXT
        assert browser.run("document.querySelectorAll('[aria-labelledby=answers] p mark').length") > 0
        colours = set()
        for width, dark in [(1280, False), (390, False), (390, True)]:
            browser.resize(width, 800, dark)
            assert browser.run("document.documentElement.scrollWidth") <= width
            colours.add(browser.run(f"getComputedStyle({marks}[0]).backgroundColor"))
        assert colours == {"rgb(211, 232, 248)", "rgb(18, 63, 94)"}  # hue 0 of page.css, light and dark
        picture = browser.picture()
        assert picture.startswith(b"\x89PNG")
        assert int.from_bytes(picture[16:20]) <= 390
        assert int.from_bytes(picture[20:24]) > 800


def test_another_page_cannot_send_the_form(server, tmp_path):
    """What a browser sends from a page of nowhere: the header Origin, null."""
    form = f"<form method=post action='{server.address}/'><input name=text value=lung><button></form>"
    with open_browser(tmp_path / "profile") as browser:
        browser.go(f"data:text/html,{form}")
        browser.load(lambda: browser.run("document.querySelector('button').click()"))
        assert "from elsewhere" in browser.run("document.querySelector('[role=alert]').textContent")
        assert browser.run("document.querySelectorAll('mark').length") == 0


def test_it_stops_in_order(server):
    """The last test of the process."""
    ask(server, "/api/annotate", {"text": f"{TEXT} secret"})
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(60) == 0
    log = server.log.read_text()
    assert log.rstrip().endswith("stopped")
    assert "Traceback" not in log
    assert "secret" not in log


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        ([], ["expected --ner_model or --qa_model"]),
        (["--re_model=re", "--qa_model=qa"], ["--re_model: ", "; expected --ner_model"]),
        (["--qa_model=qa", "--host="], ["--host: empty"]),
    ],
)
def test_flags_that_do_not_go_together(run_script, flags, parts):
    check_error(run_script("demo_server.py", *flags), *parts)


def test_a_port_in_use_and_other_addresses():
    with demo_server.bind("127.0.0.1", 0) as used:
        used.listen()
        port = used.getsockname()[1]
        with pytest.raises(InputError, match=f"--host=127.0.0.1, --port={port}: .*in use.*; expected .* free port"):
            demo_server.bind("127.0.0.1", port)
    with pytest.raises(InputError, match="--host=192.0.2.1, --port=0: .*; expected an address of this machine"):
        demo_server.bind("192.0.2.1", 0)
    with pytest.raises(InputError, match="--host=a..b: no such address"):
        demo_server.bind("a..b", 0)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (("127.0.0.1", 81), {"127.0.0.1:81", "localhost:81", "[::1]:81"}),
        (("127.0.0.2", 80), {"127.0.0.2", "127.0.0.2:80", "localhost", "localhost:80"}),
        (("::1", 81, 0, 0), {"[::1]:81", "localhost:81"}),
    ],
)
def test_hosts_of_this_machine_alone(address, expected):
    hosts = demo_server.name_hosts(address)
    assert expected <= hosts
    assert all(host.split(":")[0] in ("127.0.0.1", "127.0.0.2", "localhost", "[", "") for host in hosts)


def test_a_server_for_others_says_so(caplog):
    assert demo_server.name_hosts(("0.0.0.0", 80)) is None
    assert demo_server.name_hosts(("::", 80, 0, 0)) is None
    assert "no passwords" in caplog.text


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--qa_model={empty}", "{empty}: no fine_tuning.json; expected a directory that run_qa.py"),
        ("--qa_model={models}/ner", "a model of run_ner.py; expected one of run_qa.py"),
        ("--ner_model=Gene=nowhere", "nowhere: no such directory"),
    ],
)
def test_a_directory_without_a_model(run_script, models, tmp_path, flag, message):
    places = {"models": models, "empty": tmp_path}
    check_error(run_script("demo_server.py", "--port=0", flag.format(**places)), message.format(**places))
