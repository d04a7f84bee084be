"""Headless Chromium for tests, driven over a pipe by its DevTools protocol; nothing else needs to be installed."""

import base64
import contextlib
import itertools
import json
import os
import select
import shutil
import subprocess
import time

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
TIMEOUT = 60  # seconds for an answer of the browser


@contextlib.contextmanager
def open_browser(directory):
    """Gives a `Browser` with an empty page; the test skips where there is none. `directory` is for its profile."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if not program:
        pytest.skip("needs Chromium")
    (from_us, commands), (replies, to_us) = os.pipe(), os.pipe()
    options = "headless no-sandbox disable-gpu disable-background-networking disable-quic no-first-run"
    # The browser reads from its descriptor 3 and writes to 4.
    shell = f'exec "$@" 3<&{from_us} 4>&{to_us}'
    arguments = [*(f"--{option}" for option in options.split()), "--remote-debugging-pipe"]
    process = subprocess.Popen(
        ["bash", "-c", shell, "bash", program, *arguments, f"--user-data-dir={directory}", "about:blank"],
        pass_fds=(from_us, to_us),
        stderr=subprocess.DEVNULL,
    )
    os.close(from_us)
    os.close(to_us)
    try:
        yield Browser(commands, replies)
    finally:
        process.terminate()
        process.wait()
        os.close(commands)
        os.close(replies)


class Browser:
    """A page of the browser."""

    def __init__(self, commands, replies):
        self._commands, self._replies, self._numbers, self._rest = commands, replies, itertools.count(1), b""
        self._session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def call(self, method, **parameters):
        """The result of a command of the protocol."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while (reply := self._read()).get("id") != number:
            pass
        assert "error" not in reply, f"{method}: {reply['error']}"
        return reply["result"]

    def _read(self):
        while b"\0" not in self._rest:
            assert select.select([self._replies], [], [], TIMEOUT)[0], "the browser does not answer"
            data = os.read(self._replies, 1 << 16)
            assert data, "the browser has ended"
            self._rest += data
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def run(self, script):
        """The value of a JavaScript expression in the page."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def go(self, url):
        self.load(lambda: self.call("Page.navigate", url=url))

    def load(self, action):
        """Does what makes the page load another, and waits for that."""
        self.run("window.isOld = true")
        action()
        end = time.monotonic() + TIMEOUT
        while not self.run("!window.isOld && document.readyState == 'complete'"):
            assert time.monotonic() < end, "the page does not load"
            time.sleep(0.05)

    def press(self, key, code, text=""):
        """A key of the keyboard, such as Tab (9), Enter (13)."""
        names = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **names)
        self.call("Input.dispatchKeyEvent", type="keyUp", **names)

    def resize(self, width, height, dark=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = "dark" if dark else "light"
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def picture(self):
        """The whole page as PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        return base64.b64decode(shot["data"])
