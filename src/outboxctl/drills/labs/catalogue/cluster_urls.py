"""The worker's way to the nodes: one URL of three, and URLs of which one is dead or silent."""

from outboxctl.drills.labs import BilingualText, Lab, LabContext
from outboxctl.drills.labs.catalogue.cluster_nodes import NodeKilled
from outboxctl.drills.labs.clustered import HOLD, WORKER
from outboxctl.drills.proxy import Proxy, faults
from outboxctl.drills.services import sockets
from outboxctl.net.urls import parse_url
from outboxctl.sink.transport.credentials import passing_on

LOAD, BATCH = 400, 20
STRUCK = 6  # requests that may meet the silent node; each of twenty batches would without a pool
SECONDS = 40.0


class OneUrl(NodeKilled):
    """ELASTIC_URL names one node, which is killed; the worker asks the cluster for the others."""

    name = "cluster-one-url"
    title = BilingualText("The one node that ELASTIC_URL names is killed", "ELASTIC_URL 中唯一的节点被 kill")
    question = BilingualText(
        "Does the death of the one node that a worker was told of stop it, though the cluster serves?",
        "worker 只知道一个节点，该节点死亡而集群可用时，投递会停止吗？",
    )
    hypothesis = BilingualText(
        "With OUTBOX_SINK_NODES=discovered the worker knows the nodes that the cluster names, and goes on.",
        "设置 OUTBOX_SINK_NODES=discovered 后，worker 会使用集群公布的节点并继续投递。",
    )
    settings = HOLD | {"OUTBOX_SINK_NODES": "discovered"}
    seconds = 20.0
    by_hand = (
        "ELASTIC_URL=http://127.0.0.1:9200 OUTBOX_SINK_NODES=discovered outboxctl worker &",
        "outboxctl inject load --scenario update --total 20000 --rate 100 &",
        "kill -9 PID  # of that node",
        "outboxctl status --watch 1",
    )

    def victim(self, ctx: LabContext) -> str:
        """The first node."""
        return ctx.cluster.nodes[0].name

    def of_worker(self, ctx: LabContext) -> dict[str, str]:
        """Its URL alone."""
        return {"ELASTIC_URL": ctx.cluster.nodes[0].url}


class ProxiedNodes(Lab):
    """Two proxies before the sink stand for two nodes; one of them is ill. Needs no cluster."""

    of_cluster = True
    settings = HOLD | {"OUTBOX_BULK_SIZE": str(BATCH), "OUTBOX_CONCURRENCY": "1"}
    events = 50

    def prepare(self, ctx: LabContext) -> None:
        """Write rows, and start one worker that is told of two nodes."""
        other = Proxy(ctx.settings.sink_urls[0], files=passing_on(ctx.settings))
        self.other = ctx.entered(other)
        ctx.load(self.events)
        ctx.worker(WORKER, ELASTIC_URL=f"{ctx.proxy.url},{other.url}").start()

    def expect_all_by_the_other(self, ctx: LabContext) -> None:
        """Expect new events to be delivered by the other node, at their first attempt."""
        ctx.expect_recovered(SECONDS)
        ctx.expect_counts(attempts_most=1, failed=0, done=ctx.written)
        ready = ("/readyz is 200 meanwhile", "期间 /readyz 为 200")
        ctx.expect_soon(ready, lambda: ctx.ready(WORKER), within=10)


class NodeRefuses(ProxiedNodes):
    """One of two nodes refuses every connection."""

    name = "cluster-node-refuses"
    title = BilingualText("One of two nodes refuses connections", "两个节点之一拒绝连接")
    question = BilingualText(
        "Does a node that is not there cost attempts or readiness, though another one serves?",
        "一个节点不在而另一个可用时，会消耗 attempts 或影响 readiness 吗？",
    )
    hypothesis = BilingualText(
        "A request that was surely not sent goes to the next node at once, and costs no attempt.",
        "确定未发出的请求立即改发下一个节点，不消耗 attempt。",
    )
    seconds = 8.0
    by_hand = (
        "outboxctl chaos proxy --fault refuse --port 9201 --for 60s &",
        'ELASTIC_URL="http://127.0.0.1:9201,$ELASTIC_URL" outboxctl worker &',
        "outboxctl inject load --count 400",
        "outboxctl status",
    )

    def inject(self, ctx: LabContext) -> None:
        """Refuse connections to one node, then write events."""
        ctx.proxy_fault("connections to one node are refused", faults.refuse())
        ctx.load(LOAD)
        refused = ("nothing listens there", "该节点无法连接")
        ctx.confirm(refused, lambda: not sockets.answers(parse_url(ctx.proxy.url).port or 0), within=3)

    def observe(self, ctx: LabContext) -> None:
        """Wait until all is delivered by the other node."""
        self.expect_all_by_the_other(ctx)


class NodeSilent(ProxiedNodes):
    """One of two nodes takes requests and never answers."""

    name = "cluster-node-silent"
    title = BilingualText("One of two nodes never answers", "两个节点之一从不响应")
    question = BilingualText(
        "Does a node that accepts requests and never answers get one batch after the other?",
        "接受请求却从不响应的节点，会一再收到批次吗？",
    )
    hypothesis = BilingualText(
        "A node that has let a request time out is left alone for a while; nothing fails and under hold no "
        "attempt is lost.",
        "请求超时的节点会被避开一段时间；没有 failed，hold 下不消耗 attempts。",
    )
    settings = ProxiedNodes.settings | {"OUTBOX_LEASE_SECONDS": "4"}
    seconds = 15.0
    by_hand = (
        "outboxctl chaos proxy --fault blackhole --port 9201 --for 60s &",
        'ELASTIC_URL="http://127.0.0.1:9201,$ELASTIC_URL" outboxctl worker &',
        "outboxctl inject load --count 400",
        "outboxctl status",
    )

    def inject(self, ctx: LabContext) -> None:
        """Let one node take requests and answer none, then write events."""
        self.before = ctx.proxy.counts.bulks
        ctx.proxy_fault("one node takes requests and answers none", faults.blackhole())
        ctx.load(LOAD)
        struck = ("a request met the silent node", "有请求发往无响应的节点")
        ctx.confirm(struck, lambda: ctx.proxy.counts.by_fault.get("blackhole"), within=SECONDS)

    def observe(self, ctx: LabContext) -> None:
        """Wait until all is delivered by the other node."""
        self.expect_all_by_the_other(ctx)
        met = ctx.proxy.counts.bulks - self.before
        silent = ("batches that the silent node got", "无响应节点收到的批次")
        ctx.expect(silent, f"at most {STRUCK}", met, met=met <= STRUCK)
