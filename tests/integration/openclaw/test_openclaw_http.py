"""What HTTP gets on the same port."""

from __future__ import annotations

import httpx
import pytest
from openclaw_rig import running_rig

from shared.openclawclient.client import OpenClawClient
from shared.secrets.files import Secret


async def get(rig, path, method="GET", **options):
    async with httpx.AsyncClient(base_url=rig.gateway.http_url, trust_env=False) as http:
        return await http.request(method, path, **options)


@pytest.mark.parametrize("path", ["/", "/chat", "/sessions/x", "/ready"])
async def test_pages_are_the_same_document_and_never_stored(tmp_path, path):
    async with running_rig(tmp_path) as rig:
        answer = await get(rig, path)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/html")
        assert answer.headers["cache-control"] == "no-store"
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"


async def test_assets_are_revalidated_without_a_body(tmp_path):
    async with running_rig(tmp_path) as rig:
        first = await get(rig, "/deep/prefix/assets/app.js")
        assert first.headers["content-type"] == "text/javascript; charset=utf-8"
        assert first.headers["cache-control"] == "no-cache"
        again = await get(rig, "/assets/app.js", headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        head = await get(rig, "/assets/app.js", method="HEAD")
        assert head.headers["content-length"] == str(len(first.content))
        assert head.content == b""


@pytest.mark.parametrize(
    "path",
    [
        "/assets/gone.js",
        "/favicon.ico",
        "/README.md",
        "/assets/../README.md",
        "/assets/%2e%2e/README.md",
        "/assets/..%2f..%2f__init__.py",
        "/assets/",
        "/assets//etc/passwd",
        "/ui",
        "/ui/x",
        "/api/channels/x",
        "/__openclaw__/canvas/x.html",
    ],
)
async def test_what_is_not_for_browsers_is_not_there(tmp_path, path):
    async with running_rig(tmp_path) as rig, httpx.AsyncClient(trust_env=False) as http:
        url = httpx.URL(rig.gateway.http_url).copy_with(raw_path=path.encode())
        assert (await http.get(url)).status_code == 404


async def test_monitoring_has_its_own_json(tmp_path):
    async with running_rig(tmp_path) as rig:
        assert (await get(rig, "/healthz")).json() == {"ok": True}
        assert (await get(rig, "/readyz")).json() == {"ready": True}
        rig.gateway.ready = False
        assert (await get(rig, "/readyz")).status_code == 503


async def test_the_page_learns_its_name_and_writing_is_refused(tmp_path):
    async with running_rig(tmp_path) as rig:
        config = (await get(rig, "/__openclaw/control-ui-config.json")).json()
        assert config["assistantAgentId"] == "main"
        answer = await get(rig, "/", method="POST")
        assert (answer.status_code, answer.text) == (405, "Method Not Allowed")


async def test_any_path_upgrades(tmp_path):
    async with running_rig(tmp_path) as rig:
        client = OpenClawClient(f"{rig.url}some/where", token=Secret("gateway-token-of-the-test"))
        async with client:
            assert await client.request("health")
