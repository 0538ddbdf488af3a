/** The gateway's log. */
export default {
  "find": ["Filter by text", "글자로 거르기"],
  "levels": ["Levels", "수준"],
  "debug": ["debug", "디버그"],
  "info": ["info", "정보"],
  "warning": ["warning", "경고"],
  "error": ["error", "오류"],
  "pause": ["Pause", "멈춤"],
  "resume": ["Resume", "계속"],
  "newest": ["Show the newest line", "최신 줄 보기"],
  "empty": ["The log is empty.", "로그가 비어 있습니다."],
  "noMatch": ["No line fits the filter.", "조건에 맞는 줄이 없습니다."],
  "shown": ["{n} of {all} lines", "전체 {all}줄 중 {n}줄"],
  "older": ["Older lines are in {file}.", "이전 줄은 다음 파일에 있습니다: {file}"],
  "following": ["following", "따라가는 중"],
  "paused": ["paused, {n} new", "멈춤, 새 줄 {n}개"]
};
