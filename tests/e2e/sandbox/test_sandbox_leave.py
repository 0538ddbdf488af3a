"""Out again: everything but secrets exported from a running sandbox, and the stopped one taken off the machine."""

from shared.config.paths import Paths
from tests.support.sandbox_process import clawgate, sandbox_process


async def test_data_goes_out_and_the_product_off(tmp_path):
    state, out = tmp_path / "s", tmp_path / "out"
    paths = Paths.resolve(state)
    async with sandbox_process(tmp_path, state=state) as sandbox:
        said = await sandbox.ask_bot("nanoclaw")
        code, _, told = await clawgate(state, "export", str(out))
        assert code == 0, told
        code, _, told = await clawgate(state, "export", str(out))
        assert code != 0
        assert "not empty" in told
        code, _, told = await clawgate(state, "uninstall")
        assert code != 0
        assert "runs: stop it first" in told
    word = next(part for part in said.split() if part.startswith("word")).encode()
    files = {str(file.relative_to(out)): file.read_bytes() for file in out.rglob("*") if file.is_file()}
    assert {"README.md", "nanoclaw/nanoclaw.db", "openclaw/openclaw.db", "gateway/gateway.db"} <= files.keys()
    assert any(name.endswith(".jsonl") and word in data for name, data in files.items()), "the conversation is missing"
    assert not any("vault" in name or ".env" in name for name in files)

    code, _, told = await clawgate(state, "uninstall")
    assert code == 0, told
    assert not paths.runtime.exists()
    assert (state / "nanoclaw/nanoclaw.db").exists()
    code, _, told = await clawgate(state, "uninstall", "--purge", "--yes")
    assert code == 0, told
    assert not state.exists()
