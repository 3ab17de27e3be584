"""A network of hosts on this machine, of which any two can be cut apart.

Each host is a network namespace on a bridge that this machine is on, too. Needs Linux and root.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest

from tests.servers import binary

_NETWORKS = 256
_HERE, _NOBODY = 254, 255


@dataclass(frozen=True)
class Host:
    """A namespace with one network card. Its processes share this machine's files."""

    namespace: str
    address: str
    card: str
    hardware: str

    def command(self, command: Sequence[str]) -> list[str]:
        """What runs ``command`` on the host; the process keeps the id that it is started with."""
        return ["ip", "netns", "exec", self.namespace, *command]


class Network:
    """Hosts that reach each other and this machine, ``here``, until they are cut apart.

    What is cut is silent: packets vanish, and no error comes back, as when a machine dies, or
    what stands between two of them. Connections stay open, and go on when they are healed.
    """

    def __init__(self, number: int) -> None:
        self.bridge = f"noskew{number}"
        self._number = number
        self.here = Host("", self._address(_HERE), self.bridge, self._hardware(_HERE))
        self.hosts: list[Host] = []

    def cut(self, a: Host, b: Host) -> None:
        """Let no packet pass between two hosts."""
        nobody = self._hardware(_NOBODY)
        _lead(a, b, nobody)
        _lead(b, a, nobody)

    def heal(self, a: Host, b: Host) -> None:
        """Undo :meth:`cut`."""
        _lead(a, b, b.hardware)
        _lead(b, a, a.hardware)

    def destroy(self, host: Host) -> None:
        """Cut a host off from everybody for ever, with all that it has not sent yet."""
        _ip(f"link del {host.namespace}")

    def _begin(self, stack: ExitStack) -> None:
        """Raises FileExistsError if somebody uses a network of this number."""
        # A bridge without an address of its own takes another with each link, and forgets whom
        # it knew.
        _ip(f"link add {self.bridge} address {self.here.hardware} type bridge")
        stack.callback(_ip, f"link del {self.bridge}")
        _ip(f"addr add {self.here.address}/24 dev {self.bridge}")
        _ip(f"link set {self.bridge} up")

    def _add(self, stack: ExitStack) -> None:
        at = len(self.hosts) + 1
        name = f"{self.bridge}-{at}"  # of the namespace, and of the bridge's end of its link
        host = Host(name, self._address(at), "eth0", self._hardware(at))
        _ip(f"netns add {name}")
        stack.callback(_ip, f"netns del {name}")
        _ip(f"link add {name} type veth peer name eth0 netns {name} address {host.hardware}")
        stack.callback(_remove_link, name)
        _ip(f"link set {name} master {self.bridge} up")
        _ip(f"-n {name} addr add {host.address}/24 dev eth0")
        _ip(f"-n {name} link set eth0 up")
        for other in (self.here, *self.hosts):
            self.heal(host, other)
        self.hosts.append(host)

    def _address(self, at: int) -> str:
        return f"10.77.{self._number}.{at}"

    def _hardware(self, at: int) -> str:
        return f"02:00:00:00:{self._number:02x}:{at:02x}"


@contextmanager
def network(hosts: int) -> Iterator[Network]:
    """A network of some hosts, removed at the end; end their processes before.

    Where none can be made the test is skipped, or fails under CI.
    """
    binary("ip", "iproute2")
    with ExitStack() as stack:
        try:
            made = _begun(stack)
            for _ in range(hosts):
                made._add(stack)
        except OSError as error:
            _unable(f"no network of namespaces can be made here; are you root? ({error})")
        yield made


def _begun(stack: ExitStack) -> Network:
    """The network of the first number that nobody uses: others may run the same tests."""
    for number in range(_NETWORKS):
        made = Network(number)
        try:
            made._begin(stack)
        except FileExistsError:
            continue
        return made
    raise FileExistsError(f"there are {_NETWORKS} networks; remove the links noskew<number>")


def _lead(a: Host, b: Host, hardware: str) -> None:
    """Let packets of ``a`` for ``b`` go to a card.

    It is told, and not found by asking on the wire: a host that is gone gives no answer there,
    which a router between the two would hide.
    """
    at = f"-n {a.namespace} " if a.namespace else ""
    _ip(f"{at}neigh replace {b.address} lladdr {hardware} nud permanent dev {a.card}")


def _remove_link(name: str) -> None:
    # It went with its host if that was destroyed.
    subprocess.run(["ip", "link", "del", name], check=False, capture_output=True)


def _ip(words: str) -> None:
    done = subprocess.run(["ip", *words.split()], check=False, capture_output=True, text=True)
    if done.returncode == 0:
        return
    message = f"ip {words}: {done.stderr.strip()}"
    raise FileExistsError(message) if "File exists" in message else OSError(message)


def _unable(message: str) -> None:
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(message)
    pytest.skip(message)
