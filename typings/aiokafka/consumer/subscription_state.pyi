from aiokafka.structs import TopicPartition

class TopicPartitionState:
    _position: int | None
    highwater: int | None

class Assignment:
    @property
    def tps(self) -> frozenset[TopicPartition]: ...
    def state_value(self, tp: TopicPartition) -> TopicPartitionState: ...

class Subscription:
    @property
    def assignment(self) -> Assignment | None: ...

class SubscriptionState:
    @property
    def subscription(self) -> Subscription | None: ...
