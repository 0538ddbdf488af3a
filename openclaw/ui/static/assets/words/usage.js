/** What was used. */
export default {
  "text": ["Tokens that models read and wrote. What a call costs, if anything, is in “clawgate usage”.", "모델이 읽고 쓴 토큰입니다. 호출 비용은 “clawgate usage” 명령에서 볼 수 있습니다."],
  "span": ["How far back", "기간"],
  "days": ["{n} days", "{n}일"],
  "nothing": ["Nothing was used in the last {n} days.", "지난 {n}일 동안 사용량이 없습니다."],
  "byDay": ["By day", "날짜별"],
  "byModel": ["By model", "모델별"],
  "bySession": ["By session", "세션별"],
  "total": ["{all} tokens: {read} read, {cached} read again, {written} written", "토큰 {all}개: 읽음 {read}, 다시 읽음 {cached}, 씀 {written}"],
  "kinds": ["{read} read, {cached} read again, {written} written", "읽음 {read}, 다시 읽음 {cached}, 씀 {written}"],
  "read": ["read", "읽음"],
  "cached": ["read again (cached)", "다시 읽음(캐시)"],
  "written": ["written", "씀"],
  "day": ["Day", "날짜"],
  "table": ["The days as a table", "표로 보기"],
  "chart": ["Tokens on each of the last {n} days; the same as a table is below", "지난 {n}일의 날짜별 토큰, 아래 표와 같은 내용"],
  "dayTold": ["{day}: {n} tokens", "{day}: 토큰 {n}개"],
  "calls": ["{n} runs", "실행 {n}회"],
  "messages": ["{n} messages", "메시지 {n}개"]
};
