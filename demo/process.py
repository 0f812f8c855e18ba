"""A Home Assistant process of its own: temporary configuration, free port, clean end."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parent.parent

CONFIGURATION = """\
homeassistant:
  name: Face Lock demo
  country: US
  language: en
  time_zone: UTC
  unit_system: metric
  latitude: 0
  longitude: 0
  elevation: 0
frontend:
config:
http:
  server_host: 127.0.0.1
  server_port: {port}
recorder:
history:
logbook:
media_source:
logger:
  default: warning
  logs:
    custom_components.face_lock: debug
input_boolean:
  front_door_bolt:
    name: Bolt thrown
    icon: mdi:lock
    initial: true
template:
  - lock:
      - name: Front door bolt
        unique_id: demo_front_door_bolt
        default_entity_id: lock.front_door_bolt
        state: "{{{{ is_state('input_boolean.front_door_bolt', 'on') }}}}"
        lock:
          - action: input_boolean.turn_on
            target: {{ entity_id: input_boolean.front_door_bolt }}
        unlock:
          - action: input_boolean.turn_off
            target: {{ entity_id: input_boolean.front_door_bolt }}
"""

# The step "core_config" of onboarding would set up weather and radio from the internet; what it
# asks for stands in the configuration above, so it counts as done.
ONBOARDING = {
    "version": 4,
    "minor_version": 1,
    "key": "onboarding",
    "data": {"done": ["core_config"]},
}

# Wanted by the voice assistant, which every Home Assistant loads; voiceless/ says why not here.
SKIPPED_PACKAGES = ("pymicro-vad", "pyspeex-noise")


class ProcessError(RuntimeError):
    """Home Assistant ended, or did not end, unexpectedly."""


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class HomeAssistantProcess:
    """Async context manager: a running `hass` with this repository's integration."""

    def __init__(self) -> None:
        """Choose the folder's name and the port; nothing is started yet."""
        self.config = Path(tempfile.mkdtemp(prefix="face-lock-demo-"))
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        """Write the configuration and start the process; it does not answer yet."""
        try:
            self._write_configuration()
            await self._start()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the process, by force after 30 seconds, and remove its folder."""
        try:
            await self._stop()
        finally:
            shutil.rmtree(self.config, ignore_errors=True)

    def check(self) -> None:
        """Raise ProcessError, with the log's end, if the process is no longer there."""
        if self._process is None or self._process.returncode is not None:
            raise ProcessError(f"Home Assistant has ended\n{self.log_tail()}")

    def log(self) -> str:
        """Return what Home Assistant logged so far."""
        parts = [self.config / name for name in ("output.log", "home-assistant.log")]
        return "\n".join(part.read_text(errors="replace") for part in parts if part.exists())

    def log_tail(self, lines: int = 30) -> str:
        """Return the log's end."""
        return "\n".join(self.log().splitlines()[-lines:])

    def _write_configuration(self) -> None:
        (self.config / "configuration.yaml").write_text(CONFIGURATION.format(port=self.port))
        (self.config / "custom_components").symlink_to(ROOT / "custom_components")
        storage = self.config / ".storage"
        storage.mkdir()
        (storage / "onboarding").write_text(json.dumps(ONBOARDING))

    def _environment(self) -> dict[str, str]:
        """Return the environment variables that the process gets in addition to ours."""
        return {
            "PYTHONPATH": str(ROOT / "demo" / "voiceless"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    async def _start(self) -> None:
        command = [sys.executable, "-m", "homeassistant", "-c", str(self.config)]
        command += ["--skip-pip-packages", ",".join(SKIPPED_PACKAGES)]
        if setpriv := shutil.which("setpriv"):
            # Even a killed demo must not leave a server behind.
            command = [setpriv, "--pdeathsig", "TERM", *command]
        with (self.config / "output.log").open("wb") as output:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C only reaches the demo, which then ends both
                env={**os.environ, **self._environment()},
            )

    async def _stop(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 30)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            raise ProcessError("Home Assistant did not end within 30 s and was killed") from None
