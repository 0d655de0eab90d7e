"""`labkit up`: a cluster with Istio to learn on. Starts Minikube if asked to, installs Istio if
there is none.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from labkit.errors import LabkitError

if TYPE_CHECKING:
    from labkit.setup.installation import UpOptions

CHARTS = ("base", "istiod", "gateway")


def configure(parser: argparse.ArgumentParser) -> None:
    where = parser.add_argument_group(
        "which cluster (without these: the kubeconfig's current context, if it is local)"
    )
    where.add_argument(
        "--minikube", action="store_true", help="Minikube; started, or made, where it does not run"
    )
    where.add_argument(
        "--context",
        metavar="NAME",
        help="this context of the kubeconfig, also one that is not local",
    )
    where.add_argument("--kubeconfig", metavar="FILE", help="another kubeconfig")
    new = parser.add_argument_group("a new Minikube")
    new.add_argument(
        "--profile", default="minikube", metavar="NAME", help="its name (default: %(default)s)"
    )
    new.add_argument(
        "--driver",
        default="",
        metavar="NAME",
        help="what it runs in (default: the first that works)",
    )
    new.add_argument(
        "--memory", type=int, default=0, metavar="MB", help="its memory (default: by the machine's)"
    )
    new.add_argument(
        "--cpus",
        type=int,
        default=0,
        metavar="N",
        help="its processors (default: by the machine's)",
    )
    istio = parser.add_argument_group("Istio")
    istio.add_argument(
        "--with",
        dest="installer",
        choices=("istioctl", "helm", "addons"),
        default="",
        help="by which tool",
    )
    istio.add_argument(
        "--istio-version", default="", metavar="VERSION", help="of Helm's charts, such as 1.31.0"
    )
    istio.add_argument(
        "--charts", default="", metavar="FOLDER", help="Helm's charts (also: LABKIT_ISTIO_CHARTS)"
    )
    istio.add_argument(
        "--istioctl-option",
        action="append",
        default=[],
        metavar="WORDS",
        help="more words for istioctl install",
    )
    istio.add_argument(
        "--helm-option",
        action="append",
        default=[],
        metavar="CHART:WORDS",
        help="more words for a chart's helm install",
    )
    then = parser.add_argument_group("then")
    then.add_argument(
        "--tunnel", action="store_true", help="hold `minikube tunnel` open until Ctrl-C"
    )
    then.add_argument(
        "--edit-hosts", action="store_true", help="write the gateway's line into /etc/hosts"
    )


def run(args: argparse.Namespace) -> int:
    from labkit.setup.commands import Commands
    from labkit.setup.installation import Up, UpOptions
    from labkit.setup.installers import ToolOptions
    from labkit.setup.minikube import Minikube
    from labkit.setup.minikube_tunnel import hold_tunnel

    if args.tunnel and not args.minikube:
        raise LabkitError("A tunnel is Minikube's", try_next="labkit up --minikube --tunnel")
    tool_options = ToolOptions(
        istioctl=tuple(word for text in args.istioctl_option for word in shlex.split(text)),
        helm=by_chart(args.helm_option),
        charts=args.charts,
        version=args.istio_version,
    )
    options = UpOptions(
        minikube=args.minikube,
        profile=args.profile,
        driver=args.driver,
        memory_mb=args.memory,
        cpus=args.cpus,
        context=args.context,
        kubeconfig=args.kubeconfig,
        installer=args.installer,
        tool_options=tool_options,
        edit_hosts=args.edit_hosts,
        tunnel=args.tunnel,
    )
    with Commands(say) as commands:
        up = Up(options, commands)
        api = up.run()
        say("\n".join(next_words(options, api.pinned.context)))
        if args.tunnel:
            hold_tunnel(Minikube(commands, args.profile), api, say, up.name_gateway)
        api.close()
    return 0


def next_words(options: UpOptions, context: str) -> list[str]:
    """What to type now. A lesson takes the kubeconfig's current context, so that has to be this
    one.
    """
    from labkit.setup.installation import current_context

    lines = ["Next:"]
    if options.kubeconfig:
        lines.append(f"    export KUBECONFIG={shlex.quote(str(options.kubeconfig))}")
    if current_context(options) != context:
        lines.append(f"    kubectl config use-context {context}")
    lines.append(
        "    labkit run 01 --backend cluster     # or labkit lab, and in a lesson: backend = "
        '"cluster"'
    )
    lines.append(
        "    labkit down                         # at the end: gives back what was made here"
    )
    return lines


def say(text: str) -> None:
    """Each line at once: a step may take minutes."""
    print(text, flush=True)


def by_chart(options: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """
    >>> by_chart(["istiod:--set pilot.autoscaleEnabled=false"])
    {'istiod': ('--set', 'pilot.autoscaleEnabled=false')}
    """
    found: dict[str, tuple[str, ...]] = {}
    for option in options:
        chart, colon, words = option.partition(":")
        if not colon or chart not in CHARTS:
            raise LabkitError(
                f"--helm-option needs a chart and its words: {option!r}",
                seen="charts: " + ", ".join(CHARTS),
                try_next="--helm-option 'istiod:--set pilot.autoscaleEnabled=false'",
            )
        found[chart] = (*found.get(chart, ()), *shlex.split(words))
    return found
