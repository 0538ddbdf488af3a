/** Channels and their accounts. */
export default {
  "none": ["No channel is configured.", "설정된 채널이 없습니다."],
  "noneText": ["Add one on the Configuration page under “channels”.", "설정 페이지의 “channels”에서 추가하세요."],
  "probe": ["Probe now", "지금 점검"],
  "probing": ["Probing…", "점검 중…"],
  "online": ["online", "온라인"],
  "connecting": ["connecting", "연결 중"],
  "stopped": ["stopped", "멈춤"],
  "off": ["off", "꺼짐"],
  "account": ["Account", "계정"],
  "lastIn": ["Last message", "마지막 메시지"],
  "lastOut": ["Last answer", "마지막 답변"],
  "started": ["Started", "시작"],
  "token": ["Token from", "토큰 출처"],
  "lastError": ["Last error", "마지막 오류"],
  "probeGood": ["probe answered", "점검 정상"],
  "probeGoodMs": ["probe answered in {ms} ms", "점검 정상, {ms}밀리초"],
  "probeBad": ["probe failed: {reason}", "점검 실패: {reason}"],
  "probedAt": ["probed {when}", "{when} 점검"],
  "bot": ["Bot", "봇"],
  "unknown": ["no reason given", "이유 없음"]
};
