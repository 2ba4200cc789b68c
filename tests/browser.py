"""A real Chromium, without a window, driven through its own debugging protocol.

The protocol is JSON over two pipes (`--remote-debugging-pipe`), so that the standard library is enough and no
port is open. A Chromium or Chrome is looked for by its usual names; `HARMONY_PY_CHROMIUM` names another one.
`python tests/browser.py` prints the one that is found.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from typing_extensions import Self

NAMES = (
    "chromium-headless-shell",
    "chrome-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
OPTIONS = (
    "--headless",
    "--no-sandbox",  # as root, or in a container, there is none; only pages of our own are shown
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--remote-debugging-pipe",
)
KEYS = {"Enter": "\r", " ": " "}
PATIENCE = 60
"""Seconds to wait for what a page does: a busy machine is slow, and what never comes is a bug anyhow."""


def find() -> str:
    """The path of a browser, or an error that says how to get one."""
    for name in (os.environ.get("HARMONY_PY_CHROMIUM", ""), *NAMES):
        if name and (path := shutil.which(name)):
            return path
    raise FileNotFoundError(
        "no Chromium or Chrome was found: `apt-get install chromium-headless-shell` brings a small one; "
        "HARMONY_PY_CHROMIUM names one that is somewhere else"
    )


class Browser:
    """A browser process; `page` opens a page in it."""

    def __init__(self, profile: Path) -> None:
        ours, theirs = os.pipe(), os.pipe()
        # The protocol's pipes are the browser's file descriptors 3 and 4, whatever they are here.
        read, write = (fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (ours[0], theirs[1]))
        os.close(ours[0])
        os.close(theirs[1])
        script = f'exec "$@" 3<&{read} 4>&{write} {read}<&- {write}>&-'
        command = [find(), *OPTIONS, f"--user-data-dir={profile}", "about:blank"]
        self._process = subprocess.Popen(
            ["bash", "-c", script, "bash", *command],
            pass_fds=(read, write),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(read)
        os.close(write)
        self._out, self._in = os.fdopen(ours[1], "wb", 0), os.fdopen(theirs[0], "rb")
        self._number = 0
        self._buffer = b""
        self.events: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self.call("Browser.close")
        self._out.close()
        self._in.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol and wait for its result; events that come meanwhile are kept."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        self._out.write(json.dumps(message).encode() + b"\0")
        while True:
            found = self._receive()
            if found.get("id") == self._number:
                if "error" in found:
                    raise RuntimeError(f"{method}: {found['error']['message']}")
                return dict(found["result"])
            self.events.append(found)

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            piece = os.read(self._in.fileno(), 1 << 16)
            if not piece:
                raise OSError(f"the browser has gone: {self._process.poll()}")
            self._buffer += piece
        message, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(message))

    def page(self, url: str, width: int = 1440, height: int = 900, *, dark: bool = False) -> Page:
        """A new page that shows `url`."""
        return Page(self, url, width, height, dark)


class Page:
    """One page of a browser."""

    def __init__(self, browser: Browser, url: str, width: int, height: int, dark: bool) -> None:
        self._browser = browser
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self._target = target
        self._session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=url)

    def close(self) -> None:
        self._browser.call("Target.closeTarget", targetId=self._target)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self._browser.call(method, self._session, **parameters)

    def run(self, script: str) -> Any:
        """The value of an expression, awaited if it is a promise. What it throws is an error here."""
        found = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in found:
            details = found["exceptionDetails"]
            raise RuntimeError(details.get("exception", details).get("description", str(details)))
        return found["result"].get("value")

    def wait(self, script: str) -> Any:
        """Wait until an expression is true, and return its value."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with contextlib.suppress(RuntimeError):  # while the page is being loaded
                if found := self.run(script):
                    return found
            time.sleep(0.02)
        raise TimeoutError(f"never true: {script}; {self.problems()}")

    def press(self, key: str, modifiers: int = 0) -> None:
        """Press and let go of a key, as a keyboard would."""
        text = {"text": KEYS[key]} if key in KEYS else {}
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                modifiers=modifiers,
                **_code(key),
                **text,
            )

    def type(self, text: str) -> None:
        """Put text where the focus is, as an input method would."""
        self.call("Input.insertText", text=text)

    def click(self, selector: str) -> None:
        """Click in the middle of an element with a real pointer."""
        self.hover(selector)
        x, y = self._middle(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def hover(self, selector: str) -> None:
        """Scroll to an element, and point at its middle."""
        x, y = self._middle(selector)
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def _middle(self, selector: str) -> tuple[float, float]:
        x, y = self.run(
            f"{{ const element = document.querySelector({json.dumps(selector)});"
            " element.scrollIntoView({block: 'nearest'});"
            " const {x, y, width, height} = element.getClientRects()[0]; [x + width / 2, y + height / 2]; }"
        )
        return x, y

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        found = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(found["data"]))

    def problems(self) -> list[str]:
        """What went wrong in the page so far: errors, what the policy refused, requests that failed."""
        self.run("0")
        return [text for event in self._browser.events if (text := self._problem(event))]

    def requests(self) -> list[str]:
        """The addresses of everything that the page asked for."""
        self.run("0")
        return [
            event["params"]["request"]["url"]
            for event in self._browser.events
            if event.get("sessionId") == self._session and event["method"] == "Network.requestWillBeSent"
        ]

    def _problem(self, event: dict[str, Any]) -> str | None:
        if event.get("sessionId") != self._session:
            return None
        parameters = event["params"]
        if event["method"] == "Runtime.exceptionThrown":
            return json.dumps(parameters["exceptionDetails"])
        if event["method"] == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            return str(parameters["entry"]["text"])
        if event["method"] == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning"):
            return json.dumps(parameters["args"])
        return None


def _code(key: str) -> dict[str, Any]:
    codes = {
        "Tab": 9, "Enter": 13, " ": 32, "PageUp": 33, "PageDown": 34, "End": 35, "Home": 36,
        "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40,
    }  # fmt: skip
    return {"windowsVirtualKeyCode": codes[key]}


if __name__ == "__main__":
    try:
        print(find())
    except FileNotFoundError as problem:
        sys.exit(str(problem))
