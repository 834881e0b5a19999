"""The addresses that a server listens on: bound, or refused in the words of the setting that names them."""

import errno
import ipaddress
import socket

from orchestrator.settings.sections import EmailAccount, Settings, SettingsError
from protocol.errors import ThroughlineError


class ListenError(ThroughlineError):
    """The port cannot be had; the message names the setting."""


def bound(host: str, port: int) -> socket.socket:
    """The socket of HTTP and WebSocket, bound and not yet listening; port 0 takes a free one. Raises `ListenError`."""
    try:
        taken = _bind(host, port)
    except socket.gaierror as exc:
        raise ListenError(f"http.host {host!r} is no address of this machine: {exc.strerror or exc}") from exc
    except OSError as exc:
        raise ListenError(_why(exc, host, port)) from exc
    taken.setblocking(False)
    return taken


def check_addresses(settings: Settings) -> None:
    """Binds each address that the settings name, and gives it back: the processes that listen would say the same, after
    Ray's start, which takes seconds. Raises `ListenError` and `SettingsError`."""
    bound(settings.http.host, settings.http.port).close()
    for account in settings.accounts:
        if isinstance(account, EmailAccount):
            try:
                _bind(*host_and_port(account.listen, f"account {account.name!r}: listen")).close()
            except OSError as exc:
                raise cannot_listen(account.name, account.listen, exc) from exc


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there. A name other than `localhost` may be anything's."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def cannot_listen(account: str, listen: str, exc: OSError) -> SettingsError:
    """What to tell of an email account whose address is no use."""
    return SettingsError(
        f"settings: account {account!r}: cannot listen on {listen!r}: {exc.strerror or type(exc).__name__}. "
        "Stop what uses that port, or set another `listen`"
    )


def host_and_port(address: str, field: str) -> tuple[str, int]:
    """Splits `host:port`; an IPv6 host stands in brackets. Raises `SettingsError` that names the field."""
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise SettingsError(f"settings: {field} is {address!r}; write host:port, such as 127.0.0.1:7125")
    return host, int(port)


def _bind(host: str, port: int) -> socket.socket:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, proto, _, address = found[0]
    taken = socket.socket(family, kind, proto)
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(address)
    except OSError:
        taken.close()
        raise
    return taken


def _why(exc: OSError, host: str, port: int) -> str:
    where = f"{host}:{port}"
    if exc.errno == errno.EADDRINUSE:
        return f"{where} is in use, perhaps by another Throughline; set http.port (THROUGHLINE_HTTP_PORT) to a free one"
    if exc.errno == errno.EACCES:
        return f"{where} needs rights this process does not have; set http.port (THROUGHLINE_HTTP_PORT) above 1023"
    if exc.errno == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine; set http.host (THROUGHLINE_HTTP_HOST) to one"
    return f"{where} cannot be bound ({exc.strerror}); see http.host and http.port"
