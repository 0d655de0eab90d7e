"""The fates of the fields of Service, Deployment, Pod and Namespace.

Proxies hear of few of them, and the mesh on this machine runs only what a process can do. What a
field of another sort would change on a cluster is said where it is refused or without effect.
"""

from __future__ import annotations

from typing import Any

from labkit.translate.fates.row import (
    ONE_PLACE,
    Row,
    done,
    no_effect,
    refused,
    refused_values,
    told,
)

BOOKKEEPING = no_effect(
    "metadata",
    "deletionGracePeriodSeconds deletionTimestamp finalizers generateName generation "
    "managedFields ownerReferences resourceVersion selfLink uid",
    why="the API server's bookkeeping",
)


NO_NAME = "no proxy hears of those that Istio has no name for"


def metadata(*, dated: bool, labels: bool = False) -> tuple[Row, ...]:
    """The rows of an object's metadata; `dated` where the older of two counts. Labels and
    annotations that Istio knows have rows of their own (`names`)."""
    age = no_effect("metadata", "creationTimestamp", why="no two of them compete")
    other = NO_NAME
    return (
        done("metadata", "name namespace"),
        done("metadata", "creationTimestamp") if dated else age,
        done("metadata", "labels{}") if labels else no_effect("metadata", "labels{}", why=other),
        no_effect("metadata", "annotations{}", why=other),
        BOOKKEEPING,
    )


def is_ipv6(addresses: Any) -> bool:
    """Whether some of a Service's addresses, or of their families, are of the sixth version."""
    found = addresses if isinstance(addresses, list) else [addresses]
    return any(":" in str(each) or each in ("IPv6", "RequireDualStack") for each in found)


_IPV4 = "all addresses here are IPv4"
_OUTSIDE = "nothing here reaches a Service from outside but through the gateway"

_AFFINITY = "Envoy chooses the pod and does not hear of it: use a DestinationRule's consistentHash"

SERVICE = (
    *metadata(dated=True),
    done("spec", "clusterIP publishNotReadyAddresses selector{}"),
    done("spec.ports[]", "appProtocol name port protocol targetPort"),
    no_effect("spec.ports[].nodePort", why=_OUTSIDE),
    no_effect(
        "spec",
        "allocateLoadBalancerNodePorts healthCheckNodePort loadBalancerClass loadBalancerIP",
        why=_OUTSIDE,
    ),
    told("spec.externalIPs", why=_OUTSIDE),
    told("spec.externalTrafficPolicy", why=_OUTSIDE, unless=("Cluster",)),
    told("spec.loadBalancerSourceRanges", why=_OUTSIDE),
    no_effect("spec", "type", why=_OUTSIDE),
    refused_values(
        "spec.type",
        "ExternalName",
        why="names outside the mesh are not looked up",
        asks=lambda value: value == "ExternalName",
    ),
    no_effect("spec", "externalName", why="only for type ExternalName, which is refused"),
    no_effect("spec", "internalTrafficPolicy", why="all pods here are on one node"),
    refused_values(
        "spec.internalTrafficPolicy",
        "Local",
        why="all pods here are on one node",
        asks=lambda value: value == "Local",
    ),
    refused("spec.trafficDistribution", why=ONE_PLACE),
    told("spec.sessionAffinity", why=_AFFINITY, unless=("None",)),
    no_effect("spec", "sessionAffinityConfig.clientIP.timeoutSeconds", why=_AFFINITY),
    *(
        row
        for field in ("clusterIPs", "ipFamilies", "ipFamilyPolicy")
        for row in (
            no_effect("spec", field, why=_IPV4),
            refused_values(f"spec.{field}", "IPv6, dual stack", why=_IPV4, asks=is_ipv6),
        )
    ),
    no_effect("status", "conditions loadBalancer", why=_OUTSIDE),
)


def asks_for_another_probe(probe: Any) -> bool:
    """Whether a readiness probe is another one than the mesh's own."""
    get = probe.get("httpGet") if isinstance(probe, dict) else None
    return bool(probe) and not (
        isinstance(get, dict)
        and get.get("path") == "/ready"
        and get.get("scheme") in (None, "", "HTTP")
        and not get.get("host")
    )


def looks_up(variable: Any) -> bool:
    """Whether a variable is looked up somewhere. The mesh itself says POD_NAME."""
    source = variable.get("valueFrom") if isinstance(variable, dict) else None
    own = variable.get("name") == "POD_NAME" if source else False
    field = source.get("fieldRef") if own and isinstance(source, dict) else None
    return bool(source) and not (
        isinstance(field, dict) and field.get("fieldPath") == "metadata.name"
    )


_ONE_MACHINE = "all pods run on this machine"
_NO_LIMITS = "processes here get what the machine has"
_ONE_USER = "processes here run as you, without privileges or identities"
_NO_CONTAINER = "a process here is no container"
_ONE_CONTAINER = "a pod here has one container beside its sidecar"
_ENDS = "a container here is started again when it ends, and only then"

POD_SPEC = (
    done("hostNetwork"),
    done("containers[]", "name image command args env[].name env[].value env[].valueFrom"),
    done("containers[].ports[]", "name containerPort protocol"),
    done("volumes[]", "name configMap.name"),
    done("containers[].volumeMounts[]", "name mountPath"),
    no_effect("containers[].ports[]", "hostIP hostPort", why=_NO_CONTAINER),
    refused_values(
        "containers[].env[]",
        "with a valueFrom, but for POD_NAME",
        why="no variable here is looked up but POD_NAME, by fieldRef: metadata.name",
        asks=looks_up,
        when_run=True,
    ),
    refused("containers[].envFrom", why="no variable here is looked up elsewhere", when_run=True),
    refused_values(
        "containers[].readinessProbe",
        "all but httpGet of /ready",
        why="a pod here is ready when its application says so at /ready",
        asks=asks_for_another_probe,
        when_run=True,
    ),
    no_effect(
        "containers[].readinessProbe",
        why="the mesh asks at /ready, of every pod and twice a second",
    ),
    *(
        refused(f"containers[].{field}", why=_ENDS, when_run=True)
        for field in ("livenessProbe", "startupProbe", "restartPolicyRules")
    ),
    refused_values(
        "containers[].restartPolicy",
        "all but Always",
        why=_ENDS,
        asks=lambda value: value not in (None, "", "Always"),
        when_run=True,
    ),
    no_effect("containers[].restartPolicy", why=_ENDS),
    refused(
        "containers[].lifecycle",
        why="nothing here is run before or after the program itself",
        when_run=True,
    ),
    no_effect("containers[]", "resizePolicy resources", why=_NO_LIMITS),
    no_effect("containers[]", "securityContext", why=_ONE_USER),
    no_effect(
        "containers[]",
        "imagePullPolicy stdin stdinOnce terminationMessagePath terminationMessagePolicy tty "
        "volumeDevices workingDir",
        why=_NO_CONTAINER,
    ),
    no_effect(
        "containers[].volumeMounts[]",
        "mountPropagation readOnly recursiveReadOnly subPath subPathExpr",
        why=_NO_CONTAINER,
    ),
    refused("initContainers", why=_ONE_CONTAINER, when_run=True),
    no_effect("ephemeralContainers", why="they are added by kubectl debug alone"),
    refused_values(
        "restartPolicy",
        "Never, OnFailure",
        why=_ENDS,
        asks=lambda value: value in ("Never", "OnFailure"),
        when_run=True,
    ),
    no_effect("restartPolicy", why=_ENDS),
    refused("activeDeadlineSeconds", why="pods here have no end of their own", when_run=True),
    *(
        refused(field, why="nobody here would meet its condition", when_run=True)
        for field in ("readinessGates", "schedulingGates")
    ),
    *(
        refused(field, why="names here are those of Services alone", when_run=True)
        for field in ("dnsConfig", "hostAliases")
    ),
    no_effect(
        "",
        "dnsPolicy enableServiceLinks hostname hostnameOverride setHostnameAsFQDN subdomain",
        why="names here are those of Services alone",
    ),
    no_effect(
        "",
        "affinity nodeName nodeSelector os preemptionPolicy priority priorityClassName "
        "runtimeClassName schedulerName schedulingGroup tolerations topologySpreadConstraints",
        why=_ONE_MACHINE,
    ),
    no_effect("", "overhead resourceClaims resources", why=_NO_LIMITS),
    no_effect(
        "",
        "automountServiceAccountToken hostIPC hostPID hostUsers securityContext serviceAccount "
        "serviceAccountName shareProcessNamespace",
        why=_ONE_USER,
    ),
    no_effect("", "imagePullSecrets", why="no image is fetched here"),
    no_effect("", "terminationGracePeriodSeconds", why="a program here ends at once when asked to"),
    no_effect(
        "volumes[]",
        "configMap.defaultMode configMap.items configMap.optional",
        why="the application here reads no file but its own text",
    ),
)
"""What a pod's `spec` has, of a Pod or of a Deployment's template. Volumes of other kinds than
`configMap` are `OTHER_VOLUMES`."""

OTHER_VOLUMES = (
    "awsElasticBlockStore azureDisk azureFile cephfs cinder csi downwardAPI emptyDir ephemeral fc "
    "flexVolume flocker gcePersistentDisk gitRepo glusterfs hostPath image iscsi nfs "
    "persistentVolumeClaim photonPersistentDisk portworxVolume projected quobyte rbd scaleIO "
    "secret storageos vsphereVolume"
)

POD_FIELDS = (
    *POD_SPEC,
    no_effect(
        "volumes[]", OTHER_VOLUMES, why="the application here reads no file but its own text"
    ),
)

POD = (
    *metadata(dated=False, labels=True),
    *(row.below("spec") for row in POD_FIELDS),
    done("status", "podIP"),
    no_effect(
        "status",
        "allocatedResources conditions containerStatuses ephemeralContainerStatuses "
        "extendedResourceClaimStatus hostIP hostIPs initContainerStatuses message "
        "nodeAllocatableResourceClaimStatuses nominatedNodeName observedGeneration phase podIPs "
        "qosClass reason resize resourceClaimStatuses resources startTime",
        why="the mesh writes the state of its own pods",
    ),
)

DEPLOYMENT = (
    *metadata(dated=False),
    done("spec", "replicas"),
    done("spec.strategy", "type rollingUpdate.maxSurge rollingUpdate.maxUnavailable"),
    refused_values(
        "spec.paused",
        "true",
        why="a rollout here can't wait half way",
        asks=lambda value: value is True,
    ),
    no_effect("spec.paused", why="false is the default"),
    no_effect(
        "spec.selector",
        "matchLabels{} matchExpressions[].key matchExpressions[].operator "
        "matchExpressions[].values[]",
        why="a Deployment's pods are those of its template, which it must fit",
    ),
    no_effect(
        "spec",
        "minReadySeconds progressDeadlineSeconds revisionHistoryLimit",
        why="a rollout here goes on as soon as a pod is ready, and keeps no history",
    ),
    done("spec.template.metadata", "labels{}"),
    no_effect(
        "spec.template.metadata",
        "annotations{}",
        why="no proxy hears of those that Istio has no name for",
    ),
    no_effect(
        "spec.template.metadata",
        "name namespace creationTimestamp",
        why="a pod of a Deployment gets its own",
    ),
    BOOKKEEPING.below("spec.template"),
    *(row.below("spec.template.spec") for row in POD_FIELDS),
    no_effect("status", why="the mesh writes the state of its own Deployments"),
)

NAMESPACE = (
    done("metadata", "name"),
    no_effect("metadata", "namespace", why="a namespace is in none"),
    no_effect("metadata", "creationTimestamp", why="no two of them compete"),
    no_effect("metadata", "labels{} annotations{}", why="only Istio's own count"),
    BOOKKEEPING,
    no_effect("spec", "finalizers", why="the API server's bookkeeping"),
    no_effect("status", why="the API server's bookkeeping"),
)
