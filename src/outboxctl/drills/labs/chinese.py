"""Chinese for the labs' single English lines: phases, comments in commands, needs, faults.

`in_language` looks a line up; a line that is not here stays English. A test holds that no phase, comment
or need is missing, and that nothing here is out of use.
"""

import re

COMMENT = re.compile(r"(?:^|(?<=  ))# (.+)$")  # of a shell command: a whole line, or after two spaces

PHASES = {
    "Refuse connections to the sink, then write events.": "先停掉 sink，再写入事件。",
    "Wait until all of them have failed.": "等待它们全部 failed。",
    "The sink is back: write new events and wait for them.": "sink 恢复：写入新事件并等待其投递。",
    "Section 7.4: rows and metrics; failed events stay failed.": "按文档 7.4 节核对；failed 是终态。",
    "Make events fail in an outage longer than their attempts.": "让事件 failed：故障至 attempts 用尽。",
    "Dry run: what a replay would move; nothing changes.": "dry-run：会移动哪些事件，且没有变化。",
    "The cause is removed: replay, and wait until all is delivered.": "根因已修复：replay，并等待全部投递。",
    "Section 8.3: the rows and the audit; all events are done.": "按文档 8.3 节核对行、审计和事件结果。",
    "Insert one bad event and valid ones, in one batch.": "同批写入一个坏事件和若干正常事件。",
    "Wait until all events of the batch are settled.": "坏事件和同批事件都已处理完毕。",
    "Section 6.3: failed at once, with a reason; counted.": "按文档 6.3 节：立即 failed，带原因并计数。",
    "Both workers put a batch back: the sink answers 503.": "两个 worker 各放回一批：sink 返回 503。",
    "Read when the retries are due.": "观察重试的时间。",
    "All times are by the database's clock; nothing was reclaimed.": "全部以数据库时钟为准，没有 reclaim。",
    "No alert fires at first; then refuse connections to the sink.": "起初没有告警；随后 sink 拒绝连接。",
    "An outage, SIGTERM and a frozen worker, one after the other.": "依次：故障、SIGTERM、冻结的 worker。",
    "All events are done, and no alert fires any more.": "全部投递，没有告警残留。",
    "Make the database read-only while the sink holds a batch.": "批次处理中把数据库设为只读。",
    "Read /readyz and /healthz.": "观察探针的返回。",
    "All events are done, each counted once.": "全部完成，且只计数一次。",
    "Kill the server while the sink holds an unsettled batch.": "sink 持有未结算批次时 kill 数据库。",
    "Read /readyz and /healthz, then start the server again.": "观察数据库不可用时的探针，然后重新启动。",
    "The same process has delivered all events, each once.": "同一进程完成全部事件，每个一次。",
    "End the sessions while the sink has a batch, several times.": "sink 持有批次时多次终止数据库会话。",
    "Each event was claimed once, and settled under that claim.": "每个事件只 claim 一次，并由其结算。",
    "Kill the worker while the sink holds its batch.": "批次处理中（由 sink 拖住）时 kill worker。",
    "Wait until the dead worker's leases are over.": "等待已死 worker 的 lease 到期。",
    "Start the worker again.": "重新启动 worker。",
    "Section 4.4: the table, the log and the metrics.": "按文档 4.4 节核对表、日志和指标。",
    "Write rows, some of which will be deleted.": "写入负载，其中一部分稍后会被删除。",
    "Hold the second versions before the sink; delete their rows.": "第二版本在途被拖住；其间删除源行。",
    "Let the upserts reach the sink.": "upsert 最终到达。",
    "No document has come back, and no event has failed.": "没有文档复活，也没有事件因此报错。",
    "Write each row twice: all are at version 2.": "每一行都已是第二个版本。",
    "Wait until both versions of each are delivered.": "每一行的两个版本都已投递。",
    "Insert an event of version 1 for each row.": "为每行写入版本 1 的事件：upsert 和 delete。",
    "No document has changed.": "没有文档变化。",
    "Write rows; start a worker that sends to the sink that will stop.": "写入行；worker 直连将要停掉的 ES。",
    "Stop the sink, then write events.": "先停掉 sink，再写入事件。",
    "Retries are scheduled at spread times, and no event fails.": "重试时间分散，没有事件 failed。",
    "Wait until all is delivered, which the longest backoff delays.": "等待全部投递，最长 backoff 会推迟它。",
    "All events are done; fill in the document's conclusion.": "全部到达；填写文档的结论记录。",
    "Answer every request with 503, and write four batches of events.": "向拒绝一切的 sink 写入四批事件。",
    "Wait until more requests were refused than an event has attempts.": "直到被拒请求数超过 max attempts。",
    "No attempt was used, and the worker became ready by itself.": "没有消耗 attempts，并自动恢复 ready。",
    "Refuse all events in one request.": "全部在同一个被拒绝的请求中。",
    "Record when each is due; end the outage before that.": "记录各自的重试时间；到期前恢复 sink。",
    "Due times are spread; no retry came early (late is allowed).": "到期时间分散，没有提前；可以推迟。",
    "Write the poison event among others; kill the worker.": "毒事件与其他事件同批；kill worker。",
    "After the lease kill the next worker too; start a third.": "lease 到期后再 kill 一次，启动第三个。",
    "That event alone failed, and was alone when it was sent again.": "只有它 failed，且重发时单独发送。",
    "Write rows to update and delete later.": "准备一些稍后要修改和删除的行。",
    "Rebuild, and write from before it until after it.": "从 rebuild 之前一直写到其后。",
    "Each row has its document, and no document lacks a row.": "每一行都有文档，没有多余的文档。",
    "Write one row that does not fit the mapping among others.": "同批写入一行不符合 mapping 的数据。",
    "That event alone failed, at its first attempt, with reason.": "只有它立即 failed 并带原因。",
    "Write one large row and small ones, in one batch.": "同批写入一个超大行和若干小行。",
    "Wait until no event is left, with the limit in place.": "限制仍在，直到全部处理完毕。",
    "The large one alone failed, at its first attempt.": "只有它立即 failed。",
    "Refuse every request with 429, and write five batches of events.": "向已满的 sink 写入五批事件。",
    "Wait for three requests; without backoff they follow at once.": "等待三个请求；若不退避，会立即发生。",
    "Requests had pauses and became smaller; no event is lost.": "请求之间有停顿且变小，没有丢失。",
    "Refuse the same items each time, chosen by their ids.": "每次拒绝同样的条目，由 id 决定。",
    "Wait until some of them have been sent again.": "直到其中一些被重新发送。",
    "Each item was accepted once and counted once.": "每个条目只被接收一次、计数一次。",
    "Block writes to the index, then write rows.": "先禁止写入，再写事件。",
    "Wait until all have been refused and some retried; under `hold`, until the circuit is open.": (
        "直到全部被拒绝，且其中一些已重试；不消耗尝试次数的策略下，直到熔断打开。"
    ),
    "All are delivered, none failed.": "全部投递，没有 failed。",
    "Drop the answers of applied requests, and write rows.": "丢弃已写入请求的响应，再写入行。",
    "Write again; wait until the index held both versions.": "再次写入；直到索引先后有过两个版本。",
    "No document became older, and no event was counted twice.": "没有文档回退，没有事件被完成两次。",
    "Kill the worker while the proxy holds the sink's answer.": "sink 的响应返回途中 kill worker。",
    "Start the next worker, which delivers the batch again.": "下一个 worker 再次投递。",
    "The result is that of one delivery.": "结果与只投递一次相同。",
    "Write rows and start two workers.": "写入行，启动两个 worker。",
    "Slow the sink down, and write one batch.": "向响应很慢的 sink 发送一批。",
    "Wait until the worker gives up, or another takes its events.": "直到它自行放弃，或事件被取走。",
    "No event had two holders.": "没有事件同时被两个 worker 持有。",
    "Start a second worker while the first has a backlog.": "第一个持有批次且有积压时，启动第二个。",
    "Each event was claimed once and counted once.": "每个事件只 claim 一次、计数一次。",
    "Freeze the worker while the sink holds its batch.": "sink 拖住批次时冻结 worker。",
    "Two other workers take its events; resume it.": "另两个 worker 取走其事件（一个仍被持有）；然后唤醒。",
    "No late write changed a document; each event counted once.": "迟到的写入没有改动文档，计数一次。",
    "Put a projection in force, write rows and start one worker.": "声明文档，写入行，启动 worker。",
    "Write one row among others that divides by zero.": "同批写入一行会除以零的数据。",
    "Its event alone fails, with PostgreSQL's words.": "只有它 failed，并保留 PostgreSQL 原文。",
    "The row is corrected: replay its event.": "该行已修复：replay 其事件。",
    "It is delivered too: the index holds the rows of the view.": "它也已投递：索引与视图一致。",
    "Put a projection of rows that are there in force; start two workers.": (
        "为已有的行声明文档；启动两个 worker。"
    ),
    "Kill a worker again and again while all tables change.": "所有表都在变更，其间多次 kill worker。",
    "Wait until all is delivered.": "等待全部投递。",
    "The index holds exactly the rows of the view.": "索引与视图的行完全一致。",
    "Write a hidden category with all products; start a worker.": (
        "写入一个隐藏的分类及其全部商品；启动 worker。"
    ),
    "Publish the category, in one short transaction.": "在一个短事务中公开该分类。",
    "Kill the worker in the middle, write another row, go on.": "中途 kill worker，写入另一行，再继续。",
    "Wait until all documents are delivered.": "等待全部文档投递。",
    "Short for the writer, one page for others, and nothing is lost.": (
        "写入者很快，其他事件只等一页，没有丢失。"
    ),
    "Deliver what a standby never gets, then promote it.": "投递备库收不到的变更，然后提升备库。",
    "Write to the new primary: it overwrites the old one's documents.": "写入新主库：覆盖旧主库的文档。",
    "Repair what is not written again: verify --repair.": "比对并修复不再被写入的文档。",
    "Raised once, and the index holds the rows of the new primary.": "只提升一次，索引与新主库一致。",
    "Compare what is delivered with what is written, for some seconds.": "数秒内比较投递与写入的数量。",
    "Each command has ended with exit code 0.": "每个命令的退出码为 0。",
    "Events were delivered meanwhile, none has failed or lost an attempt.": (
        "期间持续投递，没有 failed，不消耗 attempts。"
    ),
    "Everything is delivered, and the worker became ready by itself.": "全部投递，worker 自动恢复 ready。",
    "Everything is delivered, with the attempts it had.": "全部投递，attempts 未被消耗。",
    "Freeze a node that does not lead, until the others go on without it.": (
        "冻结一个非领导节点，直到其余节点将其移除。"
    ),
    "Hold upserts before the sink, kill their worker, delete their rows, restart the node.": (
        "拖住 upsert，kill 其 worker，删除源行，重启节点。"
    ),
    "Kill a node while updates stream.": "持续更新时 kill 一个节点。",
    "Kill all nodes while updates stream.": "持续更新时 kill 全部节点。",
    "Kill the leader and another node while updates stream.": "持续更新时 kill 领导节点和另一个节点。",
    "Kill the node of the first shard's primary while updates stream.": (
        "持续更新时 kill 第一个主分片所在节点。"
    ),
    "Let one node take requests and answer none, then write events.": (
        "让一个节点接收请求而不响应，再写入事件。"
    ),
    "Let the upserts reach the sink: the documents are there again.": "upsert 最终到达：文档再次出现。",
    "No document has come back for good, and no event has failed.": "没有文档永久复活，没有事件 failed。",
    "No event has failed or lost an attempt, and /readyz did not alternate.": (
        "没有 failed，不消耗 attempts，探针未反复变化。"
    ),
    "No event has failed or lost an attempt, and the worker stayed ready.": (
        "没有 failed，不消耗 attempts，worker 保持 ready。"
    ),
    "Refuse connections to one node, then write events.": "拒绝到一个节点的连接，再写入事件。",
    "Restart one node after the other while updates stream.": "持续更新时逐个重启节点。",
    "The sick shard's events were delivered once it was well, with the attempts they had.": (
        "分片恢复后其事件全部投递，attempts 未被消耗。"
    ),
    "Undo the faults, and end the stream.": "撤销故障，停止持续更新。",
    "Wait for events that are delivered without it.": "等待缺少该节点时的投递。",
    "Wait for events that are delivered; end the stream; run the commands.": "等待投递；停止更新；运行命令。",
    "Wait for the events of the other shards; read what the rows and /readyz say of the red one.": (
        "等待其他分片的事件；查看行和 探针 如何说明红色分片。"
    ),
    "Wait for the events of the other shards; read what the rows say of the sick one.": (
        "等待其他分片的事件；查看行如何说明异常分片。"
    ),
    "Wait for the steady state; find out which documents are in which shard.": (
        "等待稳态；查明各文档所在分片。"
    ),
    "Wait until /readyz blames the sink, and no event fails.": "直到 探针 指明 sink，且没有事件 failed。",
    "Wait until /readyz blames the sink; no event fails meanwhile.": (
        "直到 探针 指明 sink；期间没有事件 failed。"
    ),
    "Wait until all is delivered by the other node.": "等待另一个节点完成全部投递。",
    "Wait until no event is left.": "等待积压归零。",
    "Wait until the cluster is green and no event is left.": "等待集群恢复正常且积压归零。",
    "Write rows, and start one worker that is told of two nodes.": "写入行；启动一个知道两个节点的 worker。",
    "Write rows, and start one worker that sends to the nodes themselves.": (
        "写入行；启动一个直连各节点的 worker。"
    ),
    "Write rows, some of which will be deleted; start one worker behind the proxy.": (
        "写入行，其中一部分稍后删除；worker 经代理投递。"
    ),
}
COMMENTS = {
    "if you have no system for it yet:": "如果还没有可用的系统：",
    "a few seconds later, while events are processing": "几秒后，事件处于 processing 时",
    "^C once stuck is above 0": "stuck 大于 0 后按 ^C",
    "^C once its log says Reclaimed": "日志出现 Reclaimed 后按 ^C",
    "none": "没有",
    "all is done soon": "很快全部 done",
    "the one that inject printed": "inject 输出的 id",
    "^C once they are failed": "全部 failed 后按 ^C",
    "they stay failed": "保持 failed",
    "there are some, for example of lab 4": "例如实验 4 留下的 failed 事件",
    "nothing is left processing": "没有残留的 processing",
    "pending, error_reason connection_lost": "pending，error_reason 为 connection_lost",
    "nothing is stuck": "没有 stuck",
    "nothing": "没有输出",
    "as psql has it": "psql 的写法",
    "the pid of postgres": "postgres 的 pid",
    "with Docker: docker kill CONTAINER": "使用 Docker 时：docker kill CONTAINER",
    "starts it again": "重新启动",
    "one that is not up yet would end": "尚未启动完成的 worker 会退出",
    "straight to the sink": "直接连接 sink",
    "then: kill -9 %2": "然后：kill -9 %2",
    "attempts and error_reason of the oldest pending": "最老 pending 的 attempts 和 error_reason",
    "pending, error_reason write_blocked": "pending，error_reason 为 write_blocked",
    "long enough to kill a worker that waits for its answer": "足够长，以便在 worker 等待响应时 kill 它",
    "the lease's end": "等待 lease 到期",
    "both under `workers`": "`workers` 下有两个",
    "waits for the lease's end": "等待 lease 到期",
    "one whose view divides by a column, say": "例如其视图除以某一列",
    "set that column of one row to 0": "把某一行的该列设为 0",
    "bad_document: division by zero": "bad_document：PostgreSQL 原文",
    "once the row is corrected": "修复该行之后",
    "tables that are followed, and by what": "跟随哪些表，如何跟随",
    "rows of all followed tables, again and again": "反复修改各个被跟随的表",
    "most documents behind one row": "一行背后最多有多少文档",
    "the row with the most documents": "背后文档最多的那一行",
    "following …: 4,000 documents found so far": "显示已找到的文档数",
    "what the standby does not get": "备库收不到的变更",
    "the primary is gone, DATABASE_URL leads to the standby": "主库已停，连接地址指向备库",
    "of a node": "某个节点的进程",
    "of all nodes; then start them again": "全部节点；然后重新启动",
    "of that node": "该节点的进程",
    "of two nodes of three": "三个节点中的两个",
    "on each node, once the cluster is green again": "逐个节点，每次等集群恢复正常",
    "on the node of the shard, after a flush": "在该分片的节点上，先执行一次刷盘",
    "the one with the star leads": "带星号的是领导节点",
    "which node has a primary": "哪个节点持有主分片",
    "which node has a shard without a replica": "哪个节点持有没有副本的分片",
}
NEEDS = {
    "a real Elasticsearch": "真实的 Elasticsearch",
    "a search engine of its own to stop": "可单独停止的搜索引擎",
    "a database of its own, to change its settings and end its sessions": (
        "独立的数据库，以便修改设置、终止会话"
    ),
    "a PostgreSQL server of its own to restart": "可单独重启的 PostgreSQL",
    "a search cluster of three nodes of its own to break": "可随意破坏的独立三节点搜索集群",
}
FAULTS = {
    "bulk requests applied, their answers lost": "bulk 请求已写入，响应丢失",
    "an event with an unknown op": "op 未知的事件",
    "the clock of worker w2 is an hour behind": "worker w2 的时钟慢一小时",
    "the sink says 503": "sink 返回 503",
    "the database is read-only": "数据库只读",
    "PostgreSQL is killed": "PostgreSQL 被 kill",
    "sessions are ended": "数据库会话被终止",
    "SIGKILL to worker w1 after the sink has applied its batch": "sink 写入批次后对 worker w1 发 SIGKILL",
    "a mapping that wants numbers": "要求数字的 mapping",
    "503 to every bulk request": "所有 bulk 请求返回 503",
    "a row over the limit among others": "其中一行超过大小限制",
    "no answer to a large request": "大请求没有响应",
    "an event over which its worker dies": "使 worker 死亡的事件",
    "rebuild under load": "负载下 rebuild",
    "events older than their rows": "比源行旧的事件",
    "a second worker joins under load": "负载下加入第二个 worker",
    "every connection to the sink is refused": "sink 拒绝所有连接",
    "the search engine is stopped": "搜索引擎停止",
    "the upserts are held up before the sink": "upsert 在到达 sink 之前被拖住",
    "a row that is divided by zero": "除以零的行",
    "a standby that receives nothing more": "不再接收变更的备库",
    "the primary is killed, and the standby promoted": "主库被 kill，备库被提升",
    "each node is stopped and started again": "逐个节点停止并重新启动",
    "connections to one node are refused": "到一个节点的连接被拒绝",
    "one node takes requests and answers none": "一个节点接收请求而不响应",
    "the node of the shard is restarted after a flush": "刷盘后重启分片所在节点",
}
# Faults that hold a value, and what the timeline puts before a fault.
PATTERNS = {
    r"(SIG\w+) to worker (\w+)": r"对 worker \2 发 \1",
    r"SIGKILL to worker (\w+) over the poison, time (\d+)": r"对处理毒事件的 worker \1 发 SIGKILL，第 \2 次",
    r"the sink holds the batch of worker (\w+)": r"sink 拖住 worker \1 的批次",
    r"(\d+%) of the items refused with (\d+)": r"\1 的条目返回 \2",
    r"(\d+) with Retry-After: (\d+) to every bulk request": r"bulk 请求均返回 \1，Retry-After 为 \2 秒",
    r"every bulk request is answered a byte each (\S+) s": r"bulk 响应每 \1 秒一个字节",
    r"index\.blocks\.write on (\S+)": r"\1 禁止写入",
    r"replayed (\d+) events as (.+)": r"\2（replay 了 \1 个事件）",
    r"a row whose text is (.+)": r"text 为 \1 的行",
    r"(SIG\w+) to (n\d(?:, n\d)*)": r"对节点 \2 发 \1",
    r"a row with (\d+) documents behind it changes": r"一行变更，其背后有 \1 个文档",
}
BEGINNINGS = {"fault: ": "故障：", "undone: ": "已撤销：", "control run, left out: ": "对照运行，未注入："}
CHINESE = PHASES | COMMENTS | NEEDS | FAULTS


def in_language(text: str, language: str) -> str:
    """A line in `en` or `zh`; English where there is no Chinese for it."""
    if language != "zh":
        return text
    if text in CHINESE:
        return CHINESE[text]
    for english, chinese in BEGINNINGS.items():
        if text.startswith(english):
            return chinese + in_language(text.removeprefix(english), language)
    for english, chinese in PATTERNS.items():
        if match := re.fullmatch(english, text):
            return match.expand(chinese)
    return text


def command(line: str, language: str) -> str:
    """A shell command, its comment in this language."""
    return COMMENT.sub(lambda match: f"# {in_language(match[1], language)}", line)
