// Swagger UI over the server's own description; nothing is loaded from elsewhere, no validator is asked.
const place = document.getElementById("docs");

function say(text, link) {
  const line = Object.assign(document.createElement("p"), { textContent: `${text} ` });
  if (link) line.append(Object.assign(document.createElement("a"), { href: "/", textContent: link }));
  place.replaceChildren(line);
}

const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

const answer = await fetch("/v1/openapi.json").catch(() => null);
if (!answer) say("The server does not answer.");
else if (answer.status === 401) say("This server requires a token:", "log in first.");
else if (!answer.ok) say(`The server answered ${answer.status}.`);
else {
  const spec = await answer.json();
  place.replaceChildren();
  window.SwaggerUIBundle({ spec, domNode: place, deepLinking: true, validatorUrl: null, defaultModelsExpandDepth: 0, displayRequestDuration: true });
}
