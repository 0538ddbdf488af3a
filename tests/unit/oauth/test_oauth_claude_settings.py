import pytest
from pydantic import ValidationError

from shared.oauth.claude import ClaudeOAuthSettings


@pytest.mark.parametrize("host", ["claude.ai", "CLAUDE.AI", "www.claude.ai", "claude.ai:443", "user@claude.ai"])
@pytest.mark.parametrize("field", ["token_url", "revoke_url"])
def test_the_login_pages_host_is_refused_as_token_host_by_name(host: str, field: str) -> None:
    with pytest.raises(ValidationError, match=r"platform\.claude\.com"):
        ClaudeOAuthSettings.model_validate({field: f"https://{host}/oauth/token"})


def test_the_policys_values_are_the_defaults() -> None:
    settings = ClaudeOAuthSettings()
    assert settings.token_url == "https://platform.claude.com/v1/oauth/token"
    assert settings.redirect_uri == "https://platform.claude.com/oauth/code/callback"
    assert len(settings.scopes) == 5


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(ValidationError, match="extra"):
        ClaudeOAuthSettings.model_validate({"tokenurl": "https://x"})
