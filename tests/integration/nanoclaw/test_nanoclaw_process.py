"""The tenant as a process: started as the supervisor does it, asked over its control socket, stopped by a signal."""

from __future__ import annotations

import json
import signal

import pytest
from nanoclaw_processes import KEY, a_gateway_socket, finish, start, until
from nanoclaw_standins import paths_in


async def test_it_runs_without_a_token_answers_the_operator_and_stops_cleanly(tmp_path):
    paths = paths_in(tmp_path)
    async with a_gateway_socket(paths, settings={"ASSISTANT_NAME": "Kim"}) as asked:
        process = await start(paths, "run", "--tenant", "nanoclaw")
        await until(paths.control_socket("nanoclaw"))
        code, out, _ = await finish(await start(paths, "status", "--json"))
        status = json.loads(out)
        assert code == 0
        assert status["assistant_name"] == "Kim"
        assert status["channels"][0]["state"] == "off"
        assert paths.pid_file("nanoclaw").read_text() == str(process.pid)

        code, out, _ = await finish(await start(paths, "groups", "register", "--chat", "dc:7", "--folder", "main"))
        assert (code, out) == (0, "registered dc:7 as main\n")
        code, _, err = await finish(await start(paths, "groups", "register", "--chat", "dc:7", "--folder", "other"))
        assert code == 1
        assert "already belongs" in err

        before = [target for target in asked if "workers" in target or "startup" in target]
        code, _, err = await finish(await start(paths, "run"))
        assert code == 75
        assert str(process.pid) in err
        assert "stop it first" in err
        assert "Traceback" not in err
        after = [target for target in asked if "workers" in target or "startup" in target]
        assert after == before, "a second instance touches nothing: no worker is asked for, none is ended"
        assert paths.pid_file("nanoclaw").read_text() == str(process.pid)

        process.send_signal(signal.SIGTERM)
        code, _, err = await finish(process)
        assert code == 0
        assert KEY not in err


@pytest.mark.parametrize(
    ("policy", "key", "code", "words"),
    [
        ("[runs]\nmax_concurent = 3\n", KEY, 78, ["nanoclaw.toml:2", "max_concurent", "max_concurrent"]),
        ("", "", 78, ["clawgate up"]),
        ("", "a-wrong-key", 77, ["key"]),
    ],
)
async def test_bad_input_is_one_clear_message_and_an_exit_code_by_class(tmp_path, policy, key, code, words):
    paths = paths_in(tmp_path)
    paths.policies.mkdir(parents=True)
    (paths.policies / "nanoclaw.toml").write_text(policy)
    async with a_gateway_socket(paths):
        found, _, err = await finish(await start(paths, "run", key=key))
    message = err.strip().splitlines()[-1]
    assert found == code, err
    assert message.startswith("nanoclaw: ")
    assert all(word in message for word in words)
    assert "Traceback" not in err


async def test_a_command_without_a_running_process_says_how_to_start_it(tmp_path):
    code, out, err = await finish(await start(paths_in(tmp_path), "groups", "stop", "lab"))
    assert (code, out) == (69, "")
    assert "clawgate up" in err
