"""(to come)"""

from labkit.resources.finding import Report


def check_kubernetes(report: Report) -> None:
    pass
