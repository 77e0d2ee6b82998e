"""A part of an index cannot be written: a red shard, or too few copies of some."""

from datetime import timedelta

from outboxctl.core.documents import source_rows
from outboxctl.drills.labs import BilingualText, LabContext
from outboxctl.drills.labs.clustered import COUNT, HOLD, ClusterLab
from outboxctl.drills.labs.context import document_id
from outboxctl.sink.transport.request import demand

WINDOW = 20.0  # seconds for which the shard is ill
LATE = 12.0  # seconds: an event of a healthy shard that is older was kept waiting
LEAST = 0.6  # share of the healthy shards' events of the window that must be delivered in it


class ShardLab(ClusterLab):
    """Some shards of the index take no write, the others do."""

    settings = HOLD
    attempts = 1
    cause: tuple[str, ...] = ()
    turns = 2

    def steady(self, ctx: LabContext) -> None:
        """Wait for the steady state; find out which documents are in which shard."""
        super().steady(ctx)
        self.ids_by_shard = {shard: self._ids(ctx, shard) for shard in range(3)}

    def inject(self, ctx: LabContext) -> None:
        """Kill the node of the first shard's primary while updates stream."""
        self.begin_stream(ctx)
        self.done, self.written = ctx.counts().done, ctx.written
        killed = ctx.cluster.holder(ctx.settings.elastic_index)
        self.sick = self.of_node(ctx, killed)
        self.kill(ctx, killed)

    def of_node(self, ctx: LabContext, node: str) -> set[str]:
        """The ids of the documents that cannot be written without this node."""
        raise NotImplementedError

    def observe(self, ctx: LabContext) -> None:
        """Wait for the events of the other shards; read what the rows say of the sick one."""
        self.expect_cause(ctx, *self.cause)
        self.expect_delivered(ctx, ("healthy shards are served", "健康分片继续投递"), 100, within=WINDOW)
        ctx.pause(max(0.0, WINDOW - (ctx.now - ctx.record.windows[0].began)))
        counts = ctx.counts()
        share = ("events of healthy shards done meanwhile", "期间健康分片完成的事件")
        healthy = (1 - len(self.sick) / self.events) * (ctx.written - self.written)
        done, least = counts.done - self.done, int(LEAST * healthy)
        ctx.expect(share, f"at least {least}", done, met=done >= least)
        late = ("events of healthy shards kept waiting", "被拖住的健康分片事件")
        ctx.expect(late, 0, self._late(ctx))
        self.expect_none_failed(ctx)
        self.conclude_attempts(ctx)

    def check(self, ctx: LabContext) -> None:
        """The sick shard's events were delivered once it was well, with the attempts they had."""
        self.expect_unharmed(ctx, attempts=self.attempts, turns=self.turns)
        ctx.expect_counts(done=ctx.written)

    def _ids(self, ctx: LabContext, shard: int) -> set[str]:
        name = ctx.settings.elastic_index
        demand(ctx.client, "POST", name, "_refresh")
        body = {"size": self.events, "_source": False}
        answer = demand(ctx.client, "POST", name, "_search", preference=f"_shards:{shard}", body=body)
        return {hit["_id"] for hit in answer["hits"]["hits"]}

    def _late(self, ctx: LabContext) -> int:
        """Events of other shards that have waited too long."""
        oldest = ctx.transact(source_rows.moment) - timedelta(seconds=LATE)
        return sum(
            event.status != "done" and event.created_at is not None and event.created_at < oldest
            for event in ctx.events()
            if document_id(event.entity_id) not in self.sick
        )


class RedShard(ShardLab):
    """A shard without a replica loses its node."""

    name = "cluster-red-shard"
    title = BilingualText("A shard is red", "一个分片变红")
    question = BilingualText(
        "Does a shard that has lost its only copy hold up the events of the other shards, or fail its own?",
        "失去唯一副本的分片，会拖住其他分片的事件，或使自己的事件 failed 吗？",
    )
    hypothesis = BilingualText(
        "Events of the other shards go on within seconds; those of the red one wait, with an error that "
        "names it, and under hold lose no attempt. /readyz says 503 while it is red.",
        "其他分片的事件数秒内继续；红色分片的事件等待，error 指明原因，hold 下不消耗 attempts；"
        "期间 /readyz 返回 503。",
    )
    index_settings = {"number_of_shards": 3, "number_of_replicas": 0}
    cause = ("primary shard is not active",)
    seconds = 40.0
    by_hand = (
        "outboxctl worker &",
        "outboxctl inject load --scenario update --total 20000 --rate 100 &",
        'curl -s "$ELASTIC_URL/_cat/shards/$ELASTIC_INDEX?v"  # which node has a shard without a replica',
        "kill -9 PID  # of that node",
        "psql -c \"select attempts, error from search_outbox_events where status = 'pending' limit 3\"",
        "curl -s localhost:9108/readyz",
    )

    def of_node(self, ctx: LabContext, node: str) -> set[str]:
        """The documents of the shards that have their only copy there."""
        name = ctx.settings.elastic_index
        lost = [shard for shard in self.ids_by_shard if ctx.cluster.holder(name, shard) == node]
        return set().union(*(self.ids_by_shard[shard] for shard in lost))

    def observe(self, ctx: LabContext) -> None:
        """Wait for the events of the other shards; read what the rows and /readyz say of the red one."""
        self.expect_not_ready(ctx, within=WINDOW)
        super().observe(ctx)


class RedShardCounted(RedShard):
    """The same under `count`."""

    name = "cluster-red-shard-count"
    title = BilingualText("A shard is red, under count", "一个分片变红（count）")
    hypothesis = BilingualText(
        "Under count the red shard's events lose an attempt at each backoff, not several a second; the "
        "other shards' events go on.",
        "count 策略下，红色分片的事件每次退避消耗一次 attempt；其他分片的事件继续。",
    )
    settings = COUNT
    attempts = 40


class TooFewCopies(ShardLab):
    """Writes wait for two copies of a shard, and there is one."""

    name = "cluster-too-few-copies"
    title = BilingualText("Too few copies for wait_for_active_shards", "活跃副本数不足")
    question = BilingualText(
        "While all is yellow, does a setting that asks for two copies hold up every event without a cause?",
        "状态为 yellow 时，要求两份副本的设置会无故拖住全部事件吗？",
    )
    hypothesis = BilingualText(
        "Events of the shards that have two copies go on; the others wait, with an error that says how many "
        "copies were asked for, and under hold lose no attempt.",
        "有两份副本的分片继续投递；其余等待，error 说明需要几份副本，hold 下不消耗 attempts。",
    )
    index_settings = {
        "number_of_shards": 3,
        "number_of_replicas": 1,
        "index.write.wait_for_active_shards": "2",
    }
    cause = ("active", "copies")
    seconds = 40.0
    by_hand = (
        'curl -s -XPUT "$ELASTIC_URL/$ELASTIC_INDEX/_settings" -H "content-type: application/json" '
        '-d \'{"index.write.wait_for_active_shards": "2"}\'',
        "outboxctl worker &",
        "outboxctl inject load --scenario update --total 20000 --rate 100 &",
        "kill -9 PID  # of a node",
        "psql -c \"select attempts, error from search_outbox_events where status = 'pending' limit 3\"",
    )

    def of_node(self, ctx: LabContext, node: str) -> set[str]:
        """The documents of the shards that have a copy there."""
        name = ctx.settings.elastic_index
        poorer = [shard for shard in self.ids_by_shard if node in ctx.cluster.holders(name, shard)]
        return set().union(*(self.ids_by_shard[shard] for shard in poorer))


class TooFewCopiesCounted(TooFewCopies):
    """The same under `count`."""

    name = "cluster-too-few-copies-count"
    title = BilingualText("Too few copies, under count", "活跃副本数不足（count）")
    hypothesis = BilingualText(
        "Under count the events that wait lose an attempt at each backoff; the others go on.",
        "count 策略下，等待的事件每次退避消耗一次 attempt；其余继续。",
    )
    settings = COUNT
    attempts = 40
