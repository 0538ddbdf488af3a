"""One configuration in force: built whole, checked whole, swapped whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath

from openclaw.config.document import Document, parse_document, read_document, read_variables
from openclaw.config.effective import Ceiling, Decision, decide_effective
from openclaw.config.issues import ROOT, Issue, Place, told
from openclaw.config.policy import KIND, OpenClawPolicy, load_config
from openclaw.config.sections.root import OpenClawJson
from openclaw.config.unused import unused
from openclaw.config.validate import validate
from shared.config.paths import Paths
from shared.config.toml import operator_file, operator_values, policy_files
from shared.errors import ConfigError
from shared.execpolicy.policy import ExecPolicy, load_exec_policy


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A configuration that may be used.

    Attributes:
        config: the file, typed, with defaults.
        policy: what is in force for the tenant.
        exec_policy: what is in force for commands.
        decisions: which file decided each setting.
    """

    document: Document
    config: OpenClawJson
    policy: OpenClawPolicy
    exec_policy: ExecPolicy
    decisions: tuple[Decision, ...]

    def warnings(self) -> list[Issue]:
        """What the file sets and nothing here acts on."""
        return unused(self.config, self.document)


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcome of one check: a snapshot, or every problem.

    Attributes:
        document: what was read, also when it cannot be used.
    """

    document: Document
    snapshot: Snapshot | None
    issues: tuple[Issue, ...] = ()

    def required(self) -> Snapshot:
        """The snapshot.

        Raises:
            ConfigError: every problem with file, line, dotted path and the nearest valid key.
        """
        if self.snapshot is None:
            raise ConfigError(told(self.issues), code="config.openclaw_json")
        return self.snapshot


@dataclass(frozen=True, slots=True)
class Source:
    """Where one tenant's configuration comes from; the boot path, the doctor and every command ask this.

    Attributes:
        path: of ``openclaw.json``.
        env_file: the tenant's own ``.env``, for ``${NAME}``.
        ceiling: reads the reviewed policy.
        policy_files: files whose change may change the ceiling.
    """

    path: FilePath
    env_file: FilePath
    ceiling: Callable[[], Ceiling]
    policy_files: tuple[FilePath, ...] = ()

    @classmethod
    def of(cls, paths: Paths, tenant: str) -> Source:
        """The installation's own."""
        return cls(
            paths.openclaw_config(tenant),
            paths.tenant_env(tenant),
            lambda: load_ceiling(paths, tenant),
            (*policy_files(KIND, paths, tenant=tenant), operator_file("exec", paths)),
        )

    @classmethod
    def fixed(cls, folder: FilePath, policy: OpenClawPolicy, exec_policy: ExecPolicy | None = None) -> Source:
        """Under a policy that is given and does not change."""
        ceiling = Ceiling(policy, exec_policy or ExecPolicy())
        return cls(folder / "openclaw.json", folder / ".env", lambda: ceiling)

    def check(self) -> Checked:
        """Read and check what is on disk."""
        try:
            variables = read_variables(self.env_file)
        except ConfigError as error:
            issue = Issue(ROOT, error.detail, Place(str(self.env_file)))
            return Checked(Document(self.path, exists=self.path.exists()), None, (issue,))
        return self._checked(read_document(self.path, variables))

    def check_text(self, text: str, variables: Mapping[str, str] | None = None) -> Checked:
        """Check a text as if it were the file, and as if `variables` were in the ``.env`` as well."""
        return self._checked(parse_document(self.path, text, {**read_variables(self.env_file), **(variables or {})}))

    def _checked(self, document: Document) -> Checked:
        config, issues = validate(document)
        if config is None:
            return Checked(document, None, issues)
        try:
            ceiling = self.ceiling()
        except ConfigError as error:
            return Checked(document, None, (Issue(ROOT, error.detail, Place("policies")),))
        effective, problems = decide_effective(config, document, ceiling)
        if effective is None:
            return Checked(document, None, tuple(problems))
        snapshot = Snapshot(document, config, effective.openclaw, effective.exec, effective.decisions)
        return Checked(document, snapshot)


def load_ceiling(paths: Paths, tenant: str = KIND) -> Ceiling:
    """The reviewed policy of a tenant.

    Raises:
        ConfigError: each problem with file, line and key.
    """
    own = {KIND: operator_values(KIND, paths, tenant=tenant), "exec": operator_values("exec", paths)}
    return Ceiling(load_config(paths, tenant), load_exec_policy(paths), own)
