"""A Django project in one file that asks a model and takes feedback on its answers: `python django_app.py runserver`.

MODEL_URL is where the model is, such as https://api.openai.com/v1; FEEDBACK_URL is where Feedback API is. In a project
of several files, `application` stands in its `wsgi.py`, and WSGI_APPLICATION in its settings.
"""

import json
import os
import sys

import httpx
from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

import feedback_client
from feedback_client.httpx_transport import LoggingTransport
from feedback_client.wsgi import TraceMiddleware

MODEL_URL = os.environ.get("MODEL_URL", "https://api.openai.com/v1")

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["127.0.0.1", "localhost"],
        ROOT_URLCONF=__name__,
        SECRET_KEY=os.environ.get("DJANGO_SECRET_KEY", "only for this example"),
        WSGI_APPLICATION=f"{__name__}.application",
    )
model = httpx.Client(transport=LoggingTransport(), timeout=60)


@csrf_exempt
def ask(request: HttpRequest) -> JsonResponse:
    """Have the model answer; the log of the call is sent in the background."""
    question = json.loads(request.body)
    feedback_client.tag(user=question["user"], prompt="ask", environment="production")
    answer = model.post(
        f"{MODEL_URL}/chat/completions",
        json={"model": "gpt-4o", "messages": [{"role": "user", "content": question["text"]}]},
        headers={"authorization": f"Bearer {os.environ.get('MODEL_KEY', '')}"},
    )
    answer.raise_for_status()
    said = answer.json()["choices"][0]["message"]["content"]
    return JsonResponse({"answer": said, "trace_id": feedback_client.trace_id()})


@csrf_exempt
def thumbs(request: HttpRequest) -> JsonResponse:
    """Take a thumb up or down on an answer: its trace id came with it."""
    vote = json.loads(request.body)
    feedback_client.feedback(1 if vote["up"] else -1, trace_id=vote["trace_id"], text=vote.get("text"))
    return JsonResponse({"status": "thank you"})


urlpatterns = [path("ask", ask), path("thumbs", thumbs)]
application = TraceMiddleware(get_wsgi_application())

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
