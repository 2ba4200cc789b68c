// Where answers come from: the server that sent this page, or the page itself where it was saved.

const DATA = JSON.parse(document.getElementById("data").textContent);
const LIVE = DATA.live;

// The answer to a question; of a server that cannot be reached, one with an error.
async function ask(question) {
  if (!LIVE) return savedAnswer(question);
  try {
    const response = await fetch("answer", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(question),
    });
    return await response.json();
  } catch {
    return { error: "The server does not answer. Is `harmony-py inspector` still running?" };
  }
}

function savedAnswer(question) {
  if (question.ask === "typescript") {
    return DATA.schemas.find((schema) => schema.text === question.text).answer;
  }
  const about = DATA.examples.findIndex((example) => example.source === question.source);
  return DATA.answers[about][savedName(question)];
}

function savedName({ ask: what, pattern, seed }) {
  return pattern ? `${what} ${pattern} ${seed}` : what;
}

// In how many ways an operator can be applied to a source; of a server, in any number.
function ways(source, pattern) {
  if (LIVE) return Infinity;
  const answers = DATA.answers[DATA.examples.findIndex((example) => example.source === source)];
  return Object.keys(answers).filter((name) => name.startsWith(`view ${pattern} `)).length;
}
