from json import JSONDecodeError
from types import SimpleNamespace

import aiohttp
import discord
import pytest

from shared.channels.discord.faults import final_failure, translated
from shared.errors import AuthRequired, ConfigError, Denied, Invalid, NotFound, RateLimited, Unavailable


def answer(status):
    return SimpleNamespace(status=status, reason="x")


def http(kind, status, code):
    return kind(answer(status), {"code": code, "message": "why"} if code else "<html>edge</html>")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (http(discord.Forbidden, 403, 50001), Denied),
        (http(discord.Forbidden, 403, 50013), Denied),
        (http(discord.Forbidden, 403, 50007), Denied),
        (http(discord.Forbidden, 403, 0), Unavailable),
        (http(discord.NotFound, 404, 10008), NotFound),
        (http(discord.HTTPException, 400, 50035), Invalid),
        (http(discord.HTTPException, 413, 40005), Invalid),
        (http(discord.HTTPException, 401, 0), Unavailable),
        (http(discord.HTTPException, 429, 0), RateLimited),
        (http(discord.DiscordServerError, 503, 0), Unavailable),
        (discord.RateLimited(12.5), RateLimited),
        (aiohttp.ServerDisconnectedError(), Unavailable),
        (ConnectionResetError(104, "reset"), Unavailable),
        (TimeoutError(), Unavailable),
        (JSONDecodeError("half", "{", 1), Unavailable),
    ],
    ids=lambda value: f"{type(value).__name__}-{getattr(value, 'status', '')}" if isinstance(value, Exception) else "",
)
def test_each_fault_says_what_to_do(error, expected):
    with pytest.raises(expected) as caught, translated("send a message"):
        raise error
    assert type(caught.value) is expected
    assert "send a message" in caught.value.detail or isinstance(caught.value, RateLimited)
    assert caught.value.__cause__ is None


def test_a_rate_limit_keeps_its_wait():
    with pytest.raises(RateLimited) as caught, translated("send a message"):
        raise discord.RateLimited(12.5)
    assert caught.value.retry_after_s == 12.5


def closed(code):
    return discord.ConnectionClosed(SimpleNamespace(close_code=code), shard_id=None, code=code)


@pytest.mark.parametrize(
    ("error", "expected", "exit_code"),
    [
        (discord.LoginFailure("no"), AuthRequired, 77),
        (closed(4004), AuthRequired, 77),
        (discord.PrivilegedIntentsRequired(None), ConfigError, 78),
        (closed(4014), ConfigError, 78),
        (closed(4013), ConfigError, 78),
        (closed(4012), ConfigError, 78),
    ],
)
def test_final_failures_carry_their_exit_code_and_a_fix(error, expected, exit_code):
    failure = final_failure(error)
    assert type(failure) is expected
    assert failure.exit_code == exit_code
    assert "Fix:" in failure.detail


@pytest.mark.parametrize("error", [closed(4000), closed(1000), AttributeError("sequence"), OSError(), KeyError("id")])
def test_everything_else_is_worth_another_try(error):
    assert final_failure(error) is None
