"""JupyterLab in headless Chromium: open a notebook, run all its cells, save it, take a picture.

``python tests/lab.py NOTEBOOK PICTURE.png [--height 3000]`` runs a copy of a notebook there, and
keeps a picture of the page.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tornado.websocket import websocket_connect

ROOT = Path(__file__).resolve().parents[1]
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
PATIENCE = 240  # seconds
OPENED = """
(() => {
  const shown = window.jupyterapp ? [...jupyterapp.shell.widgets('main')] : [];
  const notebook = shown.find(each => each.sessionContext);
  if (notebook?.sessionContext.session?.kernel?.status !== 'idle') return false;
  jupyterapp.shell.activateById(notebook.id);
  window.notebook = notebook;
  return true;
})()
"""
RUN_ALL = "jupyterapp.commands.execute('notebook:run-all-cells').then(() => true)"
SAVE = "notebook.context.save().then(() => true)"
UNTIL_SETTLED = """
(async () => {
  const cells = notebook.content.model.cells;
  for (let tries = 0; tries < 100; tries++) {
    const open = [...cells].filter(cell =>
      cell.type === 'markdown'
      && cell.sharedModel.getSource().includes('{eval}`')
      && !(cell.getMetadata('user_expressions') ?? []).length);
    if (!open.length) return true;
    await new Promise(done => setTimeout(done, 300));
  }
  return false;
})()
"""


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as spare:
        spare.bind(("127.0.0.1", 0))
        return int(spare.getsockname()[1])


def awaited(address: str) -> bytes:
    """Return what an address answers, waiting until it does."""
    until = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                return bytes(answer.read())
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Serve JupyterLab on a folder, and yield its address."""
    port = free_port()
    options = {
        "ServerApp.port": port,
        "ServerApp.root_dir": folder,
        "IdentityProvider.token": "",
        "ServerApp.disable_check_xsrf": True,
        "LabApp.expose_app_in_browser": True,
        "LabApp.app_settings_dir": ROOT / "notebooks" / ".lab",
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += [f"--{name}={value}" for name, value in options.items()]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    quiet: dict[str, Any] = dict.fromkeys(("stdout", "stderr"), subprocess.DEVNULL)
    with tempfile.TemporaryDirectory() as remembered:
        command.append(f"--LabApp.workspaces_dir={remembered}")
        lab = subprocess.Popen(command, env=os.environ | {"PATH": path}, **quiet)
        try:
            awaited(f"http://127.0.0.1:{port}/api")
            yield f"http://127.0.0.1:{port}"
        finally:
            lab.terminate()
            lab.wait()


@contextmanager
def browser(height: int) -> Iterator[str]:
    """Start headless Chromium, and yield the address by which its page is driven."""
    port = free_port()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--window-size=1100,{height}"]
        flags += [f"--remote-debugging-port={port}", f"--user-data-dir={profile}", "about:blank"]
        quiet: dict[str, Any] = dict.fromkeys(("stdout", "stderr"), subprocess.DEVNULL)
        chromium = subprocess.Popen([str(BROWSER), *flags], **quiet)
        try:
            awaited(f"http://127.0.0.1:{port}/json/version")
            pages = json.loads(awaited(f"http://127.0.0.1:{port}/json/list"))
            yield next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
        finally:
            chromium.terminate()
            chromium.wait()


class Page:
    """A page of the browser, driven by its debugging protocol."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._sent = 0

    async def call(self, method: str, **given: Any) -> Any:
        """Call a method of the protocol, and return its result."""
        self._sent += 1
        request = {"id": self._sent, "method": method, "params": given}
        await self._connection.write_message(json.dumps(request))
        while True:
            answer = json.loads(await self._connection.read_message())
            if answer.get("id") == self._sent:
                return answer.get("result", answer)

    async def evaluate(self, script: str) -> Any:
        """Evaluate JavaScript in the page, and return its value once it is known."""
        result = await self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        return result["result"].get("value")

    async def until(self, script: str) -> None:
        """Wait until JavaScript is true in the page."""
        end = time.monotonic() + PATIENCE
        while not await self.evaluate(script):
            if time.monotonic() > end:
                raise TimeoutError(f"JupyterLab: not so after {PATIENCE} s: {script}")
            await asyncio.sleep(0.3)


async def _run_all(address: str, notebook: str, driven: str, picture: Path | None) -> None:
    page = Page(await websocket_connect(driven, max_message_size=200_000_000))
    await page.call("Page.enable")
    await page.call("Page.navigate", url=f"{address}/lab/tree/{notebook}?reset")
    await page.until(OPENED)
    await page.evaluate(RUN_ALL)
    await page.until(UNTIL_SETTLED)
    await page.evaluate(SAVE)
    if picture:
        await asyncio.sleep(2)
        shot = await page.call("Page.captureScreenshot", format="png")
        picture.write_bytes(base64.b64decode(shot["data"]))


def run_in_lab(folder: Path, notebook: str, picture: Path | None = None, height: int = 1400) -> Any:
    """Run all cells of a notebook in a folder in JupyterLab, save it, and return its content."""
    with server(folder) as address, browser(height) as driven:
        asyncio.run(_run_all(address, notebook, driven, picture))
    return json.loads((folder / notebook).read_bytes())


def main() -> None:
    """Run a copy of a notebook beside the original, and keep a picture of it."""
    ask = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    ask.add_argument("notebook", type=Path)
    ask.add_argument("picture", type=Path)
    ask.add_argument("--height", type=int, default=1400, help="of the window, pixels")
    given = ask.parse_args()
    source = given.notebook.resolve()
    copy = source.with_name(f"in_lab_{source.name}")
    shutil.copyfile(source, copy)
    try:
        run_in_lab(ROOT, copy.relative_to(ROOT).as_posix(), given.picture, given.height)
    finally:
        copy.unlink()


if __name__ == "__main__":
    main()
