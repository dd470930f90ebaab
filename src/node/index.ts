/** The entry "nbd-proxy" for Node: what runs anywhere, and what needs Node. */
export * from "../index.ts";
export { type Address, formatAddress, parseAddress } from "./config/address.ts";
export {
  type Config,
  ConfigError,
  type Configuration,
  chooseConfiguration,
  metadataOf,
  parseConfig,
  readConfig,
} from "./config/config.ts";
export type { GatewayLimits } from "./config/limits.ts";
export type { ConfigurationPermissions } from "./config/permissions.ts";
export type { DeviceSettings } from "./config/schema.ts";
export { type ConnectOptions, connect } from "./connect.ts";
export { type ConnectExportOptions, connectExport } from "./connect-export.ts";
export { type FileExportOptions, fileExport, openFileExport } from "./file.ts";
export { type Gateway, type GatewayOptions, gateway } from "./gateway/gateway.ts";
export type {
  ConfigurationStatus,
  GatewayStatus,
  LinkStatus,
  RequestStatus,
  SessionStatus,
  StatusDocument,
} from "./gateway/status/document.ts";
export type { ConfigurationState } from "./gateway/status/state.ts";
export type { Certificate } from "./gateway/tls/certificate.ts";
export { type CertificateFilesOptions, certificateFiles } from "./gateway/tls/certificate-files.ts";
export type { Certificates } from "./gateway/tls/certificates.ts";
export { type SelfSignedOptions, selfSigned } from "./gateway/tls/self-signed.ts";
export { claimDevice, type DeviceClaim } from "./kernel/device-claim.ts";
export { type KernelDevice, type KernelDeviceOptions, kernelDevice } from "./kernel/kernel-device.ts";
export { type KernelSocket, kernelSocket } from "./kernel/kernel-socket.ts";
export type { QueueSettings } from "./kernel/queue-settings.ts";
export type { Log, LogLevel, LogRecord, LogTarget } from "./log/log.ts";
export { type Access, type TokenAccessOptions, tokenAccess } from "./login/access.ts";
export { type LogInOptions, type Login, logIn } from "./login/log-in.ts";
export { defaultTokenFile } from "./login/token-file.ts";
export type { BegunLink, Connection, Links } from "./session/links.ts";
export { type Listener, type ListenOptions, listen } from "./session/listen.ts";
export { type SessionOptions, session } from "./session/session.ts";
export type { ExportSummary, Session, SessionState } from "./session/session-state.ts";
export { StateHookError } from "./session/state-hook.ts";
export type { Traffic } from "./session/traffic.ts";
export { socketTransport } from "./socket.ts";
export { stdioTransport } from "./stdio.ts";
export type { Trust } from "./tls-connection.ts";
