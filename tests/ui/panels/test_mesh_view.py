"""MeshView's model on a real mesh: an ejected pod is crossed out, a new one starts, a killed one
has crashed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest

import labkit
from labkit.errors import LabkitError, MeshError
from labkit.mesh import Mesh, PodInfo
from labkit.ui import MeshView
from labkit.ui.panels import picture
from labkit.ui.panels.meshwatch import MeshWatch
from labkit.ui.panels.samples import Endpoint, MeshSample, OutlierSettings, outlier_settings
from labkit.waiting import wait_until
from tests.mesh.conftest import CLUSTER, GATEWAY, HELLO, ROUTE, URL, rule, virtual_service

pytestmark = pytest.mark.embedded

QUICK = (
    "{outlierDetection: {consecutive5xxErrors: 2, interval: 200ms, baseEjectionTime: 60s, "
    "maxEjectionPercent: 100}}"
)


@pytest.fixture
def view(mesh: Mesh) -> Iterator[MeshView]:
    view = MeshView(mesh)
    yield view
    view.ticker.stop(wait=True)
    view.close()


def pods_of(view: MeshView) -> dict[str, dict[str, Any]]:
    return {pod["name"]: pod for group in view.model["groups"] for pod in group["pods"]}


def drawn(view: MeshView) -> ElementTree.Element:
    return ElementTree.fromstring(view.svg)


def group(view: MeshView, pod: str) -> ElementTree.Element:
    found = [part for part in drawn(view).iter() if part.get("data-pod") == pod]
    assert len(found) == 1
    return found[0]


def test_the_numbers_are_the_gateways_own(mesh: Mesh, view: MeshView) -> None:
    result = mesh.curl(URL, n=40)
    view.look()
    assert {
        name: pod["requests"] for name, pod in pods_of(view).items() if pod["requests"]
    } == result.pods
    assert view.model["requests"] == 40
    shares = {name: pod["share"] for name, pod in pods_of(view).items()}
    assert sum(shares.values()) == pytest.approx(1, abs=0.01)
    assert shares == pytest.approx(
        {name: result.pods.get(name, 0) / 40 for name in shares}, abs=0.001
    )
    by_version = {group["version"]: group["share"] for group in view.model["groups"]}
    assert by_version == pytest.approx({v: n / 40 for v, n in result.versions.items()}, abs=0.002)


def test_lines_are_as_wide_as_the_shares(mesh: Mesh, view: MeshView) -> None:
    mesh.apply(
        rule(subsets="[{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]"),
        virtual_service("[{route: [{destination: {host: hello-world, subset: v2}}]}]"),
    )
    view.look()
    mesh.curl(URL, n=20)
    view.look()
    widths = sorted(
        float(path.get("stroke-width", 0))
        for path in drawn(view).iter()
        if path.tag.endswith("path")
    )
    # two pods of v1 with nothing; the one of v2, and the way to the gateway, with all
    assert widths == [picture.THINNEST, picture.THINNEST, picture.THICKEST, picture.THICKEST]


def test_a_caller_that_is_no_pod_of_the_service_is_not_in_it(view: MeshView) -> None:
    assert {group["name"] for group in view.model["groups"]} == {"hello-world-v1", "hello-world-v2"}
    assert len(pods_of(view)) == 3


def test_an_ejected_pod_is_crossed_out_with_the_seconds_that_are_left(
    mesh: Mesh, view: MeshView
) -> None:
    mesh.apply(rule(QUICK))
    bad = mesh.pods("hello-world-v2")[0].name
    assert pods_of(view)[bad]["state"] == "ready"
    assert not [part for part in group(view, bad) if part.tag.endswith("line")]
    mesh.control(bad, fail_share=1.0)
    mesh.curl(URL, n=80)  # fewer than three for one of three pods: once in 10^10
    mesh.wait_for(lambda: "failed_outlier_check" in set(mesh.endpoints()["health"]), "the ejection")
    view.look()
    pod = pods_of(view)[bad]
    assert pod["state"] == "ejected"
    assert 58 <= pod["left_s"] <= 60
    assert re.fullmatch(r"ejected, (59|60) s left", pod["words"])
    assert len([part for part in group(view, bad) if part.tag.endswith("line")]) == 2
    assert pod["words"] in view.table.set_index("pod").loc[bad, "state"]
    assert "ejected" in view.caption
    assert view.watch.outlier(CLUSTER) == OutlierSettings(60.0, 0.2, 300.0)


def test_a_pod_that_starts_is_there_before_it_is_ready(mesh: Mesh, view: MeshView) -> None:
    before = set(pods_of(view))
    mesh.scale("hello-world-v1", 3, wait=False)
    view.look()
    (new,) = set(pods_of(view)) - before
    assert pods_of(view)[new]["state"] in ("starting", "ready")  # it may be quicker than the look
    mesh.wait_for(lambda: all(pod.is_ready for pod in mesh.pods("hello-world-v1")), "the new pod")
    view.look()
    assert pods_of(view)[new]["state"] == "ready"


def test_a_pod_whose_process_was_killed_shows_that(mesh: Mesh, view: MeshView) -> None:
    pod = mesh.pods("hello-world-v2")[0].name
    kill = mesh._controller.running[pod].kill_app  # type: ignore[attr-defined]
    # the first time it is started again at once, then after one second, then after two
    for restarts in (1, 2):

        def back(restarts: int = restarts) -> bool:
            (one,) = mesh.pods("hello-world-v2")
            return one.restarts == restarts and one.is_ready

        kill()
        wait_until(back, 30, "the pod to be back")
    view.look()
    assert pods_of(view)[pod]["words"] == "ready, restarts: 2"
    kill()

    def crashed() -> bool:
        view.look()
        return bool(pods_of(view)[pod]["state"] == "crashed")

    wait_until(crashed, 20, "the pod to have crashed")
    assert "crashed, restarting" in view.caption
    assert group(view, pod).get("data-state") == "crashed"
    wait_until(lambda: mesh.pods("hello-world-v2")[0].is_ready, 30, "the pod")


def test_requests_that_wait_or_were_refused_are_counted(mesh: Mesh, view: MeshView) -> None:
    limits = "{connectionPool: {http: {http1MaxPendingRequests: 1}, tcp: {maxConnections: 1}}}"
    mesh.apply(
        rule(limits, subsets="[{name: v2, labels: {version: v2}}]"),
        virtual_service("[{route: [{destination: {host: hello-world, subset: v2}}]}]"),
    )
    cluster = CLUSTER.replace("||", "|v2|")
    view.look()
    before = view.model["counters"]["refused"]
    with mesh.gate("hello-world-v2") as gate:
        burst = gate.send(URL, n=6)
        mesh.wait_for(
            lambda: mesh.counter("upstream_rq_pending_overflow", cluster=cluster) == 4,
            "the refusals",
        )
        view.look()
        counters = view.model["counters"]
        assert (counters["active"], counters["waiting"], counters["refused"] - before) == (
            1,
            1,
            4,
        )
        assert "waiting (pending_active): 1" in view.svg
        gate.open()
        burst.wait()


def test_a_new_rule_does_not_set_the_count_back(mesh: Mesh, view: MeshView) -> None:
    mesh.curl(URL, n=10)
    view.look()
    mesh.apply(rule("{loadBalancer: {simple: RANDOM}}"))
    mesh.curl(URL, n=10)
    view.look()
    assert view.model["requests"] == 20


def test_the_sidecar_of_a_caller_has_a_view_of_its_own(mesh: Mesh) -> None:
    view = MeshView(mesh, proxy="client")
    mesh.curl("http://hello-world/", n=5, source="client")
    view.look()
    assert view.model["requests"] == 5
    assert "sidecar of client" in view.svg
    view.close()


def test_it_looks_while_it_is_seen_and_stops_when_nobody_is_there(
    mesh: Mesh, view: MeshView
) -> None:
    assert not view.watching
    view.hear(None, {"do": "present"})
    assert view.watching
    mesh.curl(URL, n=7)
    wait_until(lambda: view.model["requests"] == 7, 20, "a look")
    view.hear(None, {"do": "left"})
    wait_until(lambda: not view.watching, 20, "the end of looking")
    assert view.ticker.thread is not None
    view.ticker.thread.join(10)
    assert not view.ticker.thread.is_alive()


def test_who_stopped_it_is_not_overruled_by_its_view(view: MeshView) -> None:
    view.start()
    view.stop()
    view.hear(None, {"do": "present"})
    assert not view.watching
    assert view.status == "Not watching: this is the last state seen."


def test_a_mesh_that_is_closed_ends_it_and_is_told() -> None:
    with labkit.open_mesh("embedded") as mesh:
        mesh.apply(HELLO, GATEWAY, ROUTE)
        view = MeshView(mesh)
        view.start()
    wait_until(lambda: not view.watching, 20, "the view to notice")
    wait_until(lambda: view.status.startswith("The mesh has been closed"), 20, "the reason")
    assert view.error == {}  # each lesson ends so
    assert "hello-world-v1" in view.svg
    view.hear(None, {"do": "start"})
    wait_until(lambda: view.status.startswith("The mesh has been closed"), 20, "the reason again")
    with pytest.raises(LabkitError, match="closed"):
        view.look()
    view.close()


@pytest.mark.parametrize("closed", [True, False])
def test_a_look_that_fails_in_an_unknown_way_is_told_all_the_same(
    view: MeshView, closed: bool
) -> None:
    def broken() -> None:
        raise KeyError("half of it is gone")

    def ended() -> None:
        raise MeshError("This mesh has been closed")

    view.watch.look = broken  # type: ignore[method-assign, assignment]
    if closed:
        view.watch.check_open = ended  # type: ignore[method-assign]
    view.start()
    wait_until(lambda: not view.watching, 20, "the view to give up")
    if closed:
        wait_until(lambda: view.status.startswith("The mesh has been closed"), 20, "the reason")
        assert view.error == {}
    else:
        wait_until(lambda: bool(view.error), 20, "the reason")
        assert view.error["message"] == "Watching the mesh failed"
        assert view.error["back"] == {"label": "Watch again", "do": "start"}


def test_a_gateway_that_is_started_again_is_waited_for() -> None:
    with labkit.open_mesh("embedded") as mesh:
        mesh.apply(HELLO, GATEWAY, ROUTE)
        view = MeshView(mesh)
        view.start()
        mesh._controller.gateway.sidecar.process.kill()  # type: ignore[attr-defined]
        gateway = lambda: mesh.pods(namespace="istio-system")[0]  # noqa: E731
        wait_until(lambda: gateway().restarts == 1 and gateway().is_ready, 20, "the new gateway")
        mesh.curl(URL, n=5)
        wait_until(lambda: view.watch.sent and view.model["requests"] >= 5, 20, "its numbers")
        assert view.watching
        assert view.error == {}
        view.close()


def way(view: MeshView, pod: str) -> ElementTree.Element:
    (found,) = (part for part in drawn(view).iter() if part.get("data-part") == f"way {pod}")
    return found


def test_a_line_says_its_rate_and_how_much_of_it_failed(mesh: Mesh, view: MeshView) -> None:
    bad = mesh.pods("hello-world-v2")[0].name
    mesh.control(bad, fail_share=1.0)
    result = mesh.curl(URL, n=60)
    view.look()
    errors = {name: pod["errors"] for name, pod in pods_of(view).items()}
    assert errors == {name: float(name == bad) for name in errors}
    assert result.codes[503] == result.pods[bad] == view.watch.failed[bad]
    for name, pod in pods_of(view).items():
        (line,) = (part for part in way(view, name) if part.tag.endswith("path"))
        (label,) = (part.text for part in way(view, name) if part.tag.endswith("text"))
        assert ("--plot-error" in line.get("stroke", "")) == (name == bad)
        assert ("--plot-healthy" in line.get("stroke", "")) == (name != bad)
        assert label == f"{pod['per_second']:g}/s" + (", 100 % errors" if name == bad else "")
    assert f"100 % errors from {picture.short_names(errors)[bad]}" in view.caption
    assert view.table.set_index("pod").loc[bad, "errors %"] == 100.0


@pytest.mark.parametrize(
    ("errors", "pieces"),
    [
        (0.0, []),
        (0.25, ["6.0 18.0"]),
        (0.001, ["2.0 22.0"]),  # can be seen
        (0.999, ["22.0 2.0"]),  # and is not all
        (1.0, []),
    ],
)
def test_a_line_is_red_for_the_part_that_failed(errors: float, pieces: list[str]) -> None:
    drawn = f"<g>{picture.link(0, 0, 9, 9, 0.5, 'green', errors=errors)}</g>"
    lines = list(ElementTree.fromstring(drawn))
    found = [line.get("stroke-dasharray") for line in lines]
    assert [dashes for dashes in found if dashes] == pieces
    assert ["green" in line.get("stroke", "") for line in lines][:1] == [errors < 1]
    assert len({line.get("stroke-width") for line in lines}) == 1


def test_few_errors_are_not_none() -> None:
    assert picture.rate({"per_second": 200.0, "errors": 0.004}) == "200/s, < 1 % errors"


def test_p99_is_envoys_own_of_the_last_seconds(mesh: Mesh, view: MeshView) -> None:
    assert view.table["p99 ms"].isna().all()
    for pod in mesh.pods("hello-world-v1"):
        mesh.control(pod.name, delay_ms=80)

    def measured() -> bool:
        mesh.curl(URL, n=10)
        view.look()
        return bool(view.table["p99 ms"].max() >= 80)  # not yet: what was before

    wait_until(measured, 30, "Envoy's next interval of five seconds")
    assert set(mesh.p99_ms()) == {CLUSTER}
    assert 80 <= view.table["p99 ms"].max() < 1000
    assert "p99" in view.svg


def test_a_still_stays_and_says_its_moment(mesh: Mesh, view: MeshView) -> None:
    mesh.curl(URL, n=9)
    view.look()
    still = view.still()
    before = still._repr_html_()
    assert re.match(r"The mesh at \d\d:\d\d:\d\d: .* to 3 pods", repr(still))
    assert f">at {view.model['moment']}<" in before
    assert "<button" not in before
    mesh.curl(URL, n=5)
    view.look()
    assert still._repr_html_() == before
    assert still.table["total requests"].sum() == 9


def test_the_live_one_says_now_and_the_last_one_its_moment(view: MeshView) -> None:
    view.start()
    wait_until(lambda: ">now<" in view.svg, 20, "a look")
    assert ">now<" not in view.page()
    view.stop()
    assert f">at {view.model['moment']}<" in view.svg


def test_a_part_tells_which_objects_concern_it_and_what_envoy_has(
    mesh: Mesh, view: MeshView
) -> None:
    mesh.apply(rule(QUICK))
    pod = mesh.pods("hello-world-v2")[0].name
    names = {each.get("data-part") for each in drawn(view).iter()} - {None}
    assert names == {"proxy", *(f"{w} {p}" for p in pods_of(view) for w in ("pod", "way"))}
    found = view.about(f"pod {pod}")
    assert [name.split()[0] for name, _ in found.objects] == [
        "Service",
        "Deployment",
        "DestinationRule",
        "VirtualService",
    ]
    assert "Deployment hello-world-v2" in [name for name, _ in found.objects]
    assert f"# cluster {CLUSTER}" in found.envoy
    assert "  consecutive_5xx: 2" in found.envoy
    assert view.opened["part"] == f"pod {pod}"
    (policy,) = (text for name, text in view.opened["objects"] if "DestinationRule" in name)
    assert "consecutive5xxErrors: 2" in policy
    way = view.about(f"way {pod}")
    assert {name.split()[0] for name, _ in way.objects} == {"DestinationRule", "VirtualService"}
    assert way.envoy == found.envoy
    proxy = view.about("proxy")
    assert {name.split()[0] for name, _ in proxy.objects} == {"Gateway", "VirtualService"}
    assert any(line.startswith("# route of test.example.com") for line in proxy.envoy)
    view.hear(None, {"do": "shut"})
    assert view.opened == {}


def test_of_a_pod_that_has_gone_nothing_is_told(view: MeshView) -> None:
    found = view.about("pod who-was-that")
    assert (found.objects, found.envoy) == ((), ())


def test_an_export_has_the_picture_and_the_table(view: MeshView) -> None:
    page = view.page()
    assert "<svg" in page
    assert "<button" not in page
    for pod in pods_of(view):
        assert pod in page
        assert pod in view.text()


# the model alone


def pod(name: str, **changes: Any) -> PodInfo:
    whole = PodInfo(name, "shop", name[:-2], "v1", "2/2", "Running", 0, "10.0.0.1", 100.0)
    return replace(whole, **changes)


class Told:
    """Stands in for a mesh where only its history and configuration are asked for."""

    def __init__(self, base: str = "2s", interval: str = "1s") -> None:
        cluster = {
            "name": "c",
            "outlier_detection": {"base_ejection_time": base, "interval": interval},
        }
        self.dump = {"configs": [{"dynamic_active_clusters": [{"cluster": cluster}]}]}
        self.history: list[Any] = []

    def config(self, proxy: str) -> dict[str, Any]:
        return self.dump


PODS = (pod("a-1"), pod("a-2"))


def seen(
    at: float, *out: str, pods: tuple[PodInfo, ...] = PODS, ejections: int = 0, **counters: int
) -> MeshSample:
    ends = tuple(
        Endpoint("c", p.name, "v1", "failed_outlier_check" if p.name in out else "healthy", 0)
        for p in pods
    )
    return MeshSample(
        at, pods, ends, counters, {("c", word): n for word, n in counters.items()}, {"c": ejections}
    )


def watch_of(*looks: MeshSample, told: Told | None = None) -> MeshWatch:
    watch = MeshWatch(told or Told(), began=looks[0].at)  # type: ignore[arg-type]
    for look in looks:
        watch.see(look)
    return watch


def test_each_ejection_in_a_row_lasts_one_base_time_longer() -> None:
    watch = watch_of(seen(0), seen(1, "a-1"), seen(3, "a-1"), seen(3.2), seen(3.6, "a-1"))
    assert [(e.pod, e.since, e.until, e.n) for e in watch.ejections] == [
        ("a-1", 1, 3.2, 1),
        ("a-1", 3.6, None, 2),
    ]
    assert watch.ejections[1].left_s(4.6) == 3.0
    assert watch.ejections[1].left_s(99) == 0.0
    assert "ejected, 4 s left" in picture.summary(picture.model(watch))


def test_a_pod_that_came_back_and_failed_between_two_looks_was_ejected_twice() -> None:
    watch = watch_of(
        seen(0),
        seen(1, "a-1", ejections=1),
        seen(2.8, "a-1", ejections=1),
        seen(3, "a-1", ejections=2),
    )
    assert [(e.since, e.until, e.n) for e in watch.ejections] == [(1, 3, 1), (3, None, 2)]
    began_before_it_was_seen = watch_of(
        seen(0),
        seen(1, "a-1", ejections=1),
        seen(2.7, "a-1", ejections=1),
        seen(2.9, "a-1", ejections=2),
    )
    assert len(began_before_it_was_seen.ejections) == 2


def test_an_ejection_that_is_counted_a_look_later_is_one() -> None:
    watch = watch_of(seen(0), seen(1, "a-1", ejections=0), seen(3.1, "a-1", ejections=1))
    assert [(e.since, e.until) for e in watch.ejections] == [(1, None)]


def test_another_pods_ejection_parts_none_that_is_not_over() -> None:
    watch = watch_of(
        seen(0),
        seen(1, "a-1", ejections=1),
        seen(1.5, "a-1", ejections=2),
        seen(3.1, "a-1", ejections=2),
    )
    assert [(e.since, e.until) for e in watch.ejections] == [(1, None)]


def test_an_interval_in_the_pool_takes_one_ejection_back() -> None:
    watch = watch_of(seen(0), seen(1, "a-1"), seen(3), seen(3.5, "a-1"), seen(8), seen(9.5, "a-1"))
    assert [e.n for e in watch.ejections] == [1, 2, 2]
    watch = watch_of(seen(0), seen(1, "a-1"), seen(3), seen(9, "a-1"))
    assert [e.n for e in watch.ejections] == [1, 1]


def test_a_new_rule_does_not_count_the_refused_once_more(mesh: Mesh, view: MeshView) -> None:
    limits = "{connectionPool: {http: {http1MaxPendingRequests: 1}, tcp: {maxConnections: 1}}}"
    mesh.apply(rule(limits))
    view.look()
    with mesh.gate("hello-world") as gate:
        burst = gate.send(URL, n=8)
        mesh.wait_for(lambda: mesh.counter("upstream_rq_pending_overflow") >= 2, "the refusals")
        gate.open()
        burst.wait()
    view.look()
    (*_, refused, _) = view.watch.counts[-1]
    assert refused >= 2
    mesh.apply(rule("{loadBalancer: {simple: RANDOM}}"))
    view.look()
    assert view.watch.anew == {CLUSTER}
    assert view.watch.counts[-1][1] == refused


def test_a_cluster_that_is_made_anew_goes_on_counting() -> None:
    told = Told()
    watch = watch_of(seen(0, refused=5), seen(1, refused=7), told=told)
    told.history.append("a rule")
    told.dump["configs"][0]["dynamic_active_clusters"][0]["last_updated"] = "later"
    watch.see(seen(2, refused=9))
    assert [refused for _, refused, _ in watch.counts] == [0, 2, 4]


def test_no_ejection_lasts_longer_than_the_cap() -> None:
    told = Told()
    told.dump["configs"][0]["dynamic_active_clusters"][0]["cluster"]["outlier_detection"][
        "max_ejection_time"
    ] = "3s"
    watch = watch_of(seen(0), seen(1, "a-1"), seen(3), seen(3.1, "a-1"), told=told)
    assert watch.ejections[1].lasts_s == 3.0


def test_a_base_time_beyond_the_cap_is_the_cap() -> None:
    watch = watch_of(seen(0), seen(1, "a-1"), told=Told("900s", "300s"))
    assert "ejected, 15 min left" in picture.summary(picture.model(watch))


def test_of_a_pod_that_was_out_before_anybody_looked_only_the_most_is_known() -> None:
    watch = watch_of(seen(0, "a-1"), seen(10, "a-1"), told=Told("60s", "1s"))
    assert "ejected, at most 50 s left" in picture.summary(picture.model(watch))


def test_a_clusters_own_values_or_envoys() -> None:
    cluster = {"name": "c", "outlier_detection": {"interval": "0.5s"}}
    dump = {
        "configs": [{"dynamic_active_clusters": [{"cluster": cluster}, {"cluster": {"name": "d"}}]}]
    }
    assert outlier_settings(dump) == {"c": OutlierSettings(30.0, 0.5, 300.0)}


def test_a_proxy_that_started_again_does_not_make_counts_fall() -> None:
    watch = watch_of(seen(0, refused=5), seen(1, refused=7))
    watch.see(seen(2, refused=0))
    watch.see(seen(3, refused=4))
    assert [refused for _, refused, _ in watch.counts] == [0, 2, 6]


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "ready"),
        ({"ready": "1/2", "created": 995.0}, "starting"),
        ({"ready": "1/2"}, "not ready"),
        ({"status": "CrashLoopBackOff", "ready": "1/2", "restarts": 3}, "crashed"),
        ({"status": "Terminating"}, "ending"),
    ],
)
def test_a_pods_state_in_one_word(changes: dict[str, Any], state: str) -> None:
    one = pod("a-1", **changes)
    watch = watch_of(seen(1000, pods=(one,)))
    (found,) = picture.model(watch)["groups"][0]["pods"]
    assert found["state"] == state


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("ContainerCreating", "starting (0/2)"),
        ("PodInitializing", "starting (0/2)"),
        ("Init:0/1", "starting (0/2)"),
        ("Pending", "starting (0/2)"),
        ("ImagePullBackOff", "ImagePullBackOff (0/2)"),
        ("Evicted", "Evicted (0/2)"),
        ("Completed", "Completed (0/2)"),
        ("Init:ImagePullBackOff", "Init:ImagePullBackOff (0/2)"),
        ("Error", "crashed, restarting"),
        ("OOMKilled", "crashed, restarting"),
        ("Init:CrashLoopBackOff", "crashed, restarting"),
    ],
)
def test_a_cluster_has_more_words_for_a_pod_and_few_of_them_mean_a_crash(
    status: str, words: str
) -> None:
    watch = watch_of(seen(1000, pods=(pod("a-1", status=status, ready="0/2"),)))
    (found,) = picture.model(watch)["groups"][0]["pods"]
    assert found["words"] == words


def test_several_services_have_each_their_own_errors_and_p99() -> None:
    pods = tuple(pod(name) for name in ("cart-1", "pay-1", "pay-2"))

    def sent(at: float, *counts: tuple[int, int]) -> MeshSample:
        ends = [
            Endpoint(p.name.partition("-")[0], p.name, "v1", "healthy", n, failed)
            for p, (n, failed) in zip(pods, counts, strict=True)
        ]
        return MeshSample(at, pods, tuple(ends), {}, p99_ms={"cart": 7.0, "pay": 90.0, "other": 1})

    watch = watch_of(sent(0, (5, 5), (0, 0), (0, 0)), sent(2, (25, 5), (10, 4), (0, 0)))
    of = picture.model(watch)
    found = {p["name"]: (p["per_second"], p["errors"]) for g in of["groups"] for p in g["pods"]}
    assert found == {"cart-1": (10.0, 0.0), "pay-1": (5.0, 0.4), "pay-2": (0.0, 0.0)}
    assert [group["p99_ms"] for group in of["groups"]] == [7.0, 90.0]
    svg = picture.svg(of)
    assert ">5/s, 40 % errors<" in svg
    assert ">10/s<" in svg
    # a proxy that was started again counts from nothing
    watch.see(sent(3, (2, 1), (10, 4), (0, 0)))
    assert (watch.sent["cart-1"], watch.failed["cart-1"]) == (22, 1)


def test_names_cannot_break_the_drawing() -> None:
    one = pod("a'<b>&-1", version="v<1")
    svg = picture.svg(picture.model(watch_of(seen(0, pods=(one,)))))
    assert "<b>" not in svg
    assert ElementTree.fromstring(svg) is not None


def test_a_picture_before_the_first_look_is_empty() -> None:
    watch = MeshWatch(SimpleNamespace(history=[]))  # type: ignore[arg-type]
    assert picture.model(watch)["groups"] == []
    assert picture.svg(picture.model(watch)).startswith("<svg")
