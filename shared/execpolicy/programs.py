"""Programs that can never be approved, because they run something that is not shown."""

from __future__ import annotations

from collections.abc import Mapping

_NEVER: Mapping[str, str] = {
    "a shell runs text that nothing here has judged": """
        sh bash dash zsh ksh mksh ash fish csh tcsh rbash busybox toybox
    """,
    "it runs another program, which has to be named itself": """
        env nice nohup stdbuf timeout setsid chrt ionice taskset xargs parallel script watch time strace ltrace gdb
        unshare nsenter chroot flock start-stop-daemon run-parts systemd-run at batch crontab expect socat unbuffer
        proot fakeroot faketime setarch linux32 linux64 i386 x86_64 prlimit choom runcon numactl catchsegv ld.so
    """,
    "it would act with another user's rights": "sudo su doas pkexec runuser setpriv gosu su-exec capsh newgrp sg",
    "it reaches the container engine": "docker podman nerdctl ctr crictl runc crun kubectl containerd lxc machinectl",
    "it is a word of the shell, not a program": """
        eval exec command builtin source . alias unalias function trap coproc cd export set unset declare typeset local
        readonly let read mapfile readarray getopts shift times ulimit umask wait jobs fg bg disown hash type enable
        if then else elif fi for while until do done case esac select in [[ { } ! ( ) ((
    """,
}

NEVER: Mapping[str, str] = {name: reason for reason, names in _NEVER.items() for name in names.split()}
"""Programs that no approval can make run, and why."""
