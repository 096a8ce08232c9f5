// Exports one span of a call to a model in protobuf and one in JSON, to where the environment says; prints their ids.
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { OTLPTraceExporter as InJson } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as InProtobuf } from "@opentelemetry/exporter-trace-otlp-proto";

const ids = [];
for (const Exporter of [InProtobuf, InJson]) {
  const provider = new BasicTracerProvider({ spanProcessors: [new BatchSpanProcessor(new Exporter())] });
  const attributes = { "gen_ai.request.model": "m-1", "gen_ai.usage.input_tokens": 12, tags: ["a", "b"], "user.id": "u" };
  const span = provider.getTracer("shop").startSpan("chat m-1", { attributes });
  span.addEvent("gen_ai.evaluation.result", { "gen_ai.evaluation.name": "tone", "gen_ai.evaluation.score.value": 3 });
  span.end();
  await provider.forceFlush();
  await provider.shutdown();
  ids.push(span.spanContext().traceId);
}
console.log(JSON.stringify(ids));
