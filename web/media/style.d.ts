/** A style sheet, as text. The build makes it short. */
declare module "*.css" {
  const text: string;
  export default text;
}
