#include "daemon/long_answers.h"

#include <fmt/format.h>

#include <algorithm>

namespace oakgate {

void LongAnswers::begin(ClientId client, std::uint64_t request, std::string list, std::vector<Peer> peers,
                        Make make) {
  Answer answer{client, request, std::move(list), std::move(peers), std::move(make), 0, {}};
  if (take_piece(answer)) return;
  answers_.push_back(std::move(answer));
  timer_.arm(Milliseconds(0));
}

void LongAnswers::forget(ClientId client) {
  std::erase_if(answers_, [&](const Answer& answer) { return answer.client == client; });
}

bool LongAnswers::take_piece(Answer& answer) {
  const std::size_t size = std::min(kPeersAPiece, answer.peers.size() - answer.done);
  const bool last = answer.done + size == answer.peers.size();
  Json json = answer.make(std::span(answer.peers).subspan(answer.done, size), last);
  answer.done += size;
  for (const Json& entry : json[answer.list]) {
    if (!answer.entries.empty()) answer.entries += ',';
    answer.entries += dump(entry);
  }
  if (!last) return false;
  // Its place in the object; inside of strings the quotes would be escaped.
  json[answer.list] = nullptr;
  std::string text = dump(json);
  const std::string place = fmt::format("\"{}\":null", answer.list);
  text.replace(text.find(place) + place.size() - 4, 4, "[" + answer.entries + "]");
  server_.answer(answer.client, answer_line_of_text(answer.request, text));
  return true;
}

void LongAnswers::go_on() {
  if (answers_.empty()) return;
  Answer answer = std::move(answers_.front());
  answers_.pop_front();
  if (!take_piece(answer)) answers_.push_back(std::move(answer));
  if (!answers_.empty()) timer_.arm(Milliseconds(0));
}

}  // namespace oakgate
