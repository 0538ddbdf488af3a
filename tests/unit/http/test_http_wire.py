"""The hot path's own HTTP client against servers that do what servers do."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import ssl
from contextlib import asynccontextmanager

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from shared.errors import DeadlineExceeded, Invalid, Unavailable, UpstreamError
from shared.http.client import HttpPool

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


class Scripted:
    """A raw server that answers each request with the next bytes; None closes instead."""

    def __init__(self, *answers: bytes | None, after: str = "") -> None:
        self.answers = list(answers)
        self.after = after
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.connections = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while self.answers:
                head = await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head)
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                self.bodies.append(await reader.readexactly(length))
                answer = self.answers.pop(0)
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
                if self.after == "close":
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(server, *, tls: ssl.SSLContext | None = None):
    running: set[asyncio.Task] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        running.add(asyncio.current_task())
        await server(reader, writer)
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()

    listening = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        yield f"http{'s' if tls else ''}://127.0.0.1:{port}"
    await asyncio.wait_for(asyncio.gather(*running, return_exceptions=True), 5)


async def test_a_request_is_what_was_asked_for_and_its_connection_is_kept() -> None:
    server = Scripted(OK, OK)
    async with serving(server) as base, HttpPool() as pool:
        for _ in range(2):
            answer = await pool.request("POST", f"{base}/a?b=c", headers=[(b"x-one", b"1")], body=b"body")
            assert (answer.status, answer.body) == (200, b"hello")
        assert server.connections == 1
        first = server.heads[0].split(b"\r\n")
        assert first[0] == b"POST /a?b=c HTTP/1.1"
        assert first[1] == b"Host: " + base.removeprefix("http://").encode()
        assert b"x-one: 1" in first
        assert server.bodies == [b"body", b"body"]


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"hello"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK, b"hello"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", b"abcde"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
    ],
    ids=["continue", "hints", "chunked", "no-content", "empty"],
)
async def test_answers_of_every_framing_are_read_and_the_connection_goes_on(answer, body) -> None:
    server = Scripted(answer, OK)
    async with serving(server) as base, HttpPool() as pool:
        first = await pool.request("POST", base)
        assert (first.body, first.header("link")) == (body, "")
        assert (await pool.request("POST", base)).body == b"hello"
        assert server.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n\r\nhello",
        b"HTTP/1.0 200 OK\r\n\r\nhello",
        OK.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n"),
    ],
    ids=["no-length", "1.0", "close"],
)
async def test_an_answer_that_ends_its_connection_is_whole_and_the_next_call_opens_another(answer) -> None:
    server = Scripted(answer, OK, after="close")
    async with serving(server) as base, HttpPool() as pool:
        assert (await pool.request("POST", base)).body == b"hello"
        assert (await pool.request("POST", base)).body == b"hello"
        assert server.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        None,
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 70_000 + b"\r\n\r\n",
    ],
    ids=[
        "nothing",
        "half-head",
        "half-body",
        "half-chunk",
        "no-last-chunk",
        "not-http",
        "two-lengths",
        "upgrade",
        "huge",
    ],
)
async def test_half_an_answer_or_none_is_a_cut_and_never_an_answer(answer) -> None:
    server = Scripted(answer, OK, after="close")
    async with serving(server) as base, HttpPool() as pool:
        with pytest.raises(Unavailable) as caught:
            await pool.request("POST", base)
        assert caught.value.code == "http.cut"
        assert (await pool.request("POST", base)).body == b"hello"


async def test_what_came_before_the_cut_is_told_first() -> None:
    server = Scripted(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", after="close")
    async with serving(server) as base, HttpPool() as pool, pool.stream("POST", base) as answer:
        assert await answer.next_bytes() == b"half"
        with pytest.raises(Unavailable):
            await answer.next_bytes()


async def test_a_kept_connection_that_the_server_closed_is_not_used_again() -> None:
    server = Scripted(OK, OK, after="close")
    async with serving(server) as base, HttpPool() as pool:
        for _ in range(2):
            assert (await pool.request("POST", base)).body == b"hello"
            await asyncio.sleep(0.02)  # the server's end has to arrive
        assert server.connections == 2


async def test_bytes_after_the_answer_end_the_connection() -> None:
    server = Scripted(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", OK)
    async with serving(server) as base, HttpPool() as pool:
        assert (await pool.request("POST", base)).body == b"hello"
        await asyncio.sleep(0.02)
        assert (await pool.request("POST", base)).body == b"hello"
        assert server.connections == 2


@pytest.mark.parametrize(
    ("url", "header"),
    [
        ("/", (b"x", b"a\r\nevil: 1")),
        ("/", (b"x", b"a\nevil: 1")),
        ("/", (b"x", b"\x00")),
        ("/", (b"x: 1\r\ny", b"1")),
        ("/", (b"", b"1")),
        ("/a b", (b"x", b"1")),
    ],
)
async def test_nothing_ends_its_line_early(url, header) -> None:
    server = Scripted(OK)
    async with serving(server) as base, HttpPool() as pool:
        with pytest.raises(Invalid):
            await pool.request("POST", base + url, headers=[header])
        assert not server.heads


async def test_a_long_request_arrives_whole_and_an_early_refusal_is_heard() -> None:
    body = bytes(range(256)) * 20_000
    server = Scripted(OK)
    async with serving(server) as base, HttpPool() as pool:
        assert (await pool.request("POST", base, body=body)).status == 200
        assert server.bodies == [body]

    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        while await reader.read(1 << 16):
            pass
        writer.close()

    async with serving(early) as base, HttpPool() as pool:
        assert (await pool.request("POST", base, body=body)).status == 413


async def test_a_slow_reader_stops_the_sender_and_loses_nothing() -> None:
    sent = 0
    total = 200 * 65_536

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        while sent < total:
            writer.write(b"x" * 65_536)
            sent += 65_536
            await writer.drain()
        writer.close()

    async with serving(endless) as base, HttpPool() as pool, pool.stream("POST", base) as answer:
        await asyncio.sleep(0.2)
        assert sent < total, "what nobody reads must not pile up here"
        assert len(await answer.read(total)) == total


async def test_an_answer_longer_than_allowed_is_not_kept() -> None:
    server = Scripted(OK)
    async with serving(server) as base, HttpPool() as pool:
        with pytest.raises(UpstreamError, match="more than 4 bytes"):
            await pool.request("POST", base, max_bytes=4)


async def test_silence_ends_at_the_read_timeout_before_and_in_the_answer() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if b"/begun" in head:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
        await reader.read()
        writer.close()

    async with serving(silent) as base, HttpPool() as pool:
        for path in ("/", "/begun"):
            with pytest.raises(DeadlineExceeded):
                await pool.request("POST", base + path, read_timeout_s=0.05)


async def test_leaving_while_waiting_closes_the_connection_at_once() -> None:
    closed = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await reader.read()
        closed.set()
        writer.close()

    async with serving(silent) as base, HttpPool() as pool:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await pool.request("POST", base)
        await asyncio.wait_for(closed.wait(), 2)


def certificate(folder) -> ssl.SSLContext:
    """A server's context with a certificate for 127.0.0.1 that nobody signed but itself, in ``cert.pem``."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "cert.pem").write_bytes(made.public_bytes(pem))
    (folder / "key.pem").write_bytes(key.private_bytes(pem, pkcs8, plain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


async def test_tls_is_spoken_and_an_unknown_certificate_is_refused(tmp_path) -> None:
    server = Scripted(OK, OK)
    async with serving(server, tls=certificate(tmp_path)) as base:
        async with HttpPool() as pool:
            with pytest.raises(Unavailable, match="SSLCertVerificationError") as caught:
                await pool.request("POST", base)
            assert caught.value.code == "http.connect"
        async with HttpPool() as trusting:
            trusting._tls = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
            for _ in range(2):
                assert (await trusting.request("POST", base)).body == b"hello"
            await trusting.close()
            await asyncio.sleep(0.05)
        assert server.connections == 1
